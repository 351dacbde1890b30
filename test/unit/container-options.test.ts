import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { containerOptions } from '../../src/engine/docker/container-options.js'

const REQUEST = {
  name: 'blog-abc123def456',
  image: 'mvp-blog:abc123def456',
  env: ['PORT=3000', 'NAME=a=b'],
  labels: { 'traefik.enable': 'true' },
  memoryBytes: 512 * 1024 * 1024,
  cpus: 1.5,
  pids: 256,
  command: null,
}

describe('what a container is created with', () => {
  test('is this and nothing else', () => {
    assert.deepEqual(containerOptions(REQUEST, 'longshore'), {
      name: 'blog-abc123def456',
      Image: 'mvp-blog:abc123def456',
      Env: ['PORT=3000', 'NAME=a=b'],
      Labels: { 'traefik.enable': 'true' },
      HostConfig: {
        NetworkMode: 'longshore',
        RestartPolicy: { Name: 'no' },
        Init: true,
        Privileged: false,
        CapDrop: ['ALL'],
        CapAdd: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'NET_BIND_SERVICE', 'SETGID', 'SETUID'],
        SecurityOpt: ['no-new-privileges:true'],
        Memory: 536_870_912,
        MemorySwap: 536_870_912,
        NanoCpus: 1_500_000_000,
        PidsLimit: 256,
        OomScoreAdj: 500,
        IpcMode: 'private',
        Binds: [],
        PortBindings: {},
        Devices: [],
        LogConfig: { Type: 'json-file', Config: { 'max-size': '10000000', 'max-file': '3' } },
      },
    })
  })

  test('takes nothing from a request that the engine did not ask for', () => {
    const hostile = { ...REQUEST, HostConfig: { Privileged: true }, Binds: ['/:/host'], privileged: true }
    assert.deepEqual(containerOptions(hostile, 'longshore'), containerOptions(REQUEST, 'longshore'))
  })

  test('runs a command of its own instead of the CMD of its image', () => {
    const command = ['serve', '--port=3000', 'a b; c']
    const { Cmd, ...others } = containerOptions({ ...REQUEST, command }, 'longshore')
    assert.deepEqual(Cmd, command)
    assert.deepEqual(others, containerOptions(REQUEST, 'longshore'))
  })

  test('has a whole number of nanoseconds of processor time', () => {
    assert.equal(containerOptions({ ...REQUEST, cpus: 0.1 + 0.2 }, 'n').HostConfig?.NanoCpus, 300_000_000)
  })

  test('does not share its lists with other containers', () => {
    const capabilities = () => containerOptions(REQUEST, 'n').HostConfig?.CapAdd as string[]
    capabilities().push('SYS_ADMIN')
    assert.ok(!capabilities().includes('SYS_ADMIN'))
    containerOptions(REQUEST, 'n').Env?.push('X=1')
    assert.equal(REQUEST.env.length, 2)
  })
})
