import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import {
  BuildkitCgroup,
  BuildLimiter,
  classicParameters,
  outOfMemory,
} from '../../src/engine/docker/build-limits.js'
import { DeployError } from '../../src/engine/errors.js'
import { UNLIMITED } from '../support/docker-engines.js'

const MIB = 1024 * 1024

describe('limits of builds', () => {
  const roots: string[] = []
  let root = ''
  beforeEach(() => roots.push((root = mkdtempSync(join(tmpdir(), 'longshore-cgroup-')))))
  after(() => roots.forEach((one) => rmSync(one, { recursive: true, force: true })))
  const read = (path: string) => readFileSync(join(root, path), 'utf8')

  test('are shared out among the builds at once with the classic builder', () => {
    assert.deepEqual(classicParameters({ memoryBytes: 100 * MIB, cpus: 1.5 }, 2), {
      memory: 50 * MIB,
      memswap: 50 * MIB,
      cpushares: 256,
      cpuperiod: 100_000,
      cpuquota: 75_000,
    })
    assert.equal('cpuquota' in classicParameters({ memoryBytes: MIB, cpus: null }, 1), false)
  })

  test('are written to a cgroup of version 2', async () => {
    writeFileSync(join(root, 'cgroup.controllers'), 'cpu memory')
    mkdirSync(join(root, 'docker'))
    const cgroup = new BuildkitCgroup('docker/buildkit', root)
    assert.equal(await cgroup.limit({ memoryBytes: 5 * MIB, cpus: 0.5 }), true)
    assert.equal(read('docker/buildkit/memory.max'), String(5 * MIB))
    assert.equal(read('docker/buildkit/cpu.max'), '50000 100000')
    await cgroup.limit({ memoryBytes: 5 * MIB, cpus: null })
    assert.equal(read('docker/buildkit/cpu.max'), 'max 100000')
    writeFileSync(join(root, 'docker/buildkit/memory.events'), 'oom 4\noom_kill 3\n')
    assert.equal(await cgroup.kills(), 3)
  })

  test('are none where the engine has no cgroup', async () => {
    const cgroup = new BuildkitCgroup('docker/buildkit', root)
    assert.equal(await cgroup.limit({ memoryBytes: MIB, cpus: null }), false)
    assert.equal(await cgroup.kills(), 0)
  })

  test('are said to be missing once, and not for builds that have them', async () => {
    let said = 0
    const options = { ...UNLIMITED, isLocal: true, onUnlimited: () => void (said += 1) }
    const limiter = new BuildLimiter(options, () => Promise.resolve(4 * MIB))
    await limiter.begin(false)
    assert.equal(said, 0)
    for (let build = 0; build < 2; build++) await limiter.begin(true)
    assert.equal(said, 1)
  })

  test('make an error of their own of a step that was killed, and of no other', () => {
    const failed = (exitCode: number, ...lastLines: string[]) =>
      new DeployError('BUILD_FAILED', 'x', { exitCode, lastLines })
    const codeOf = (error: DeployError, someKilled: boolean) =>
      (outOfMemory(error, MIB, someKilled) as DeployError).code
    assert.equal(codeOf(failed(137), false), 'OUT_OF_MEMORY')
    assert.equal(
      codeOf(failed(2, 'c++: fatal error: Killed signal terminated program cc1plus'), true),
      'OUT_OF_MEMORY',
    )
    assert.equal(codeOf(failed(2, 'Killed'), false), 'BUILD_FAILED')
    assert.equal(codeOf(failed(1, 'no such file'), true), 'BUILD_FAILED')
    const stalled = new DeployError('BUILD_STALLED', 'x', { exitCode: 137 })
    assert.equal(outOfMemory(stalled, MIB, true), stalled)
  })
})
