import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { InfrastructureError } from '../../src/engine/errors.js'
import { UNLIMITED } from '../support/docker-engines.js'
import { FakeDocker } from '../support/fake-docker/fake-docker.js'

describe('an answer of the engine that breaks off in the middle', () => {
  const open = async () => {
    const fake = await FakeDocker.start()
    const options = { dockerHost: fake.host, builder: 'classic', buildSilenceMs: 60_000 } as const
    // Far longer than the test may take: what fails in time does not fail for the time-out.
    return { fake, port: new Dockerode({ ...UNLIMITED, ...options, dockerTimeoutMs: 60_000 }) }
  }

  test('fails a change at once', { timeout: 5_000 }, async () => {
    const { fake, port } = await open()
    await using _ = fake
    fake.fault({ path: /\/update$/, kind: 'reset' })
    await assert.rejects(
      port.keepRunning('any', new AbortController().signal),
      (error) => error instanceof InfrastructureError,
    )
  })

  test('lets a question be asked once more', { timeout: 5_000 }, async () => {
    const { fake, port } = await open()
    await using _ = fake
    fake.fault({ path: /^\/containers\/json/, kind: 'reset' })
    assert.deepEqual(await port.listContainers('a=b'), [])
  })
})

test('what a container is made with is in no URL, which proxies and logs keep', async () => {
  await using fake = await FakeDocker.start()
  const options = { dockerHost: fake.host, builder: 'classic', buildSilenceMs: 60_000 } as const
  const port = new Dockerode({ ...UNLIMITED, ...options, dockerTimeoutMs: 60_000 })
  const request = { name: 'shop', image: 'none', env: ['KEY=hunter22'], labels: {} }
  const made = port.createContainer(
    { ...request, command: null, memoryBytes: 2 ** 26, cpus: 1, pids: 64 },
    AbortSignal.timeout(60_000),
  )
  await assert.rejects(made, /No such image/)
  const call = fake.calls.find(({ path }) => path === '/containers/create')
  assert.deepEqual(call?.query, { name: 'shop' })
})
