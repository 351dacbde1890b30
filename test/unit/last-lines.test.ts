import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Deployment } from '../../src/entities/deployment.js'
import type { ContainerState, Docker } from '../../src/engine/docker/docker.js'
import { describeExit } from '../../src/engine/docker/container-exit.js'
import { readLastLines } from '../../src/engine/traffic/last-lines.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { variableAad } from '../../src/engine/secrets/variables.js'

const RUNS: ContainerState = {
  ...{ running: true, exitCode: 0, outOfMemory: false, restarts: 1, keptRunning: true },
  ...{ paused: false, health: null, healthCheck: null, address: '10.0.0.2' },
}
const never = () => new Promise<never>(() => undefined)
const docker = (calls: Partial<Docker>) => calls as Docker

describe('how a container ended', () => {
  const told = async (state: Partial<ContainerState>, lastExit: Docker['lastExit'] = never) => {
    const { why, exitCode } = await describeExit('web', { ...RUNS, ...state }, docker({ lastExit }))
    return [why, exitCode]
  }

  test('is what it says itself while it does not run', async () => {
    const ended = { running: false, exitCode: 3 }
    assert.deepEqual(await told({ ...ended, restarts: 0 }), ['it exited with exit code 3', 3])
    assert.deepEqual(await told(ended), ['it exited and was restarted (exit code 3)', 3])
    const memory = ['it used more memory than its limit (OOM)', 137]
    assert.deepEqual(await told({ running: false, exitCode: 137, outOfMemory: true }), memory)
  })

  test('is out of memory where a busy engine says so in its events alone', async () => {
    const killed = { running: false, exitCode: 137, restarts: 0 }
    const end = (outOfMemory: boolean) => () => Promise.resolve({ exitCode: 137, outOfMemory })
    const memory = ['it used more memory than its limit (OOM)', 137]
    const other = ['it exited with exit code 137', 137]
    assert.deepEqual(await told(killed, end(true)), memory)
    assert.deepEqual(await told(killed, end(false)), other)
    assert.deepEqual(await told(killed, () => Promise.resolve(null)), other)
    assert.deepEqual(await told(killed, () => Promise.reject(new Error('away'))), other)
    assert.deepEqual(await told({ ...killed, exitCode: 3 }, end(true)), ['it exited with exit code 3', 3])
  })

  test('is what the engine remembers when it runs again, if it does soon', async () => {
    const end = (outOfMemory: boolean) => () => Promise.resolve({ exitCode: 137, outOfMemory })
    assert.deepEqual(await told({}, end(false)), ['it exited and was restarted (exit code 137)', 137])
    assert.deepEqual(await told({}, end(true)), ['it used more memory than its limit (OOM)', 137])
    const unknown = ['it exited and was restarted (exit code unknown)', null]
    assert.deepEqual(await told({}, () => Promise.resolve(null)), unknown)
    assert.deepEqual(await told({}, () => Promise.reject(new Error('away'))), unknown)
    assert.deepEqual(await told({}), unknown)
  })
})

describe('the last lines of a version that failed', () => {
  const secrets = new SecretBox(randomBytes(32))
  const secret = 'hunter2-hunter2'
  const deploymentOf = (box: SecretBox) => {
    const seal = (key: string) => box.encrypt(secret, variableAad('stage', key))
    const variables = [{ key: 'KEY', valueEncrypted: seal('KEY'), buildSecret: false }]
    return { stageId: 'stage', configuration: { variables } } as unknown as Deployment
  }
  const failure = { code: 'EXITED' as const, why: 'it ended', container: 'web', exitCode: 3 }
  const lines = (lastLines: Docker['lastLines'], box = secrets) =>
    readLastLines(failure, deploymentOf(box), { docker: docker({ lastLines }), secrets })
  const said = () => Promise.resolve([`key=${secret}`, '\x1b]0;title\x07good\x00bye'])

  test('are clean, with secrets masked', async () => {
    assert.deepEqual(await lines(said), ['key=[REDACTED]', 'good␀bye'])
  })

  test('are unknown when the engine is slow or away', async () => {
    assert.equal(await lines(never), null)
    assert.equal(await lines(() => Promise.reject(new Error('away'))), null)
  })

  test('are none when it wrote nothing, the secrets cannot be read, or no container failed', async () => {
    assert.deepEqual(await lines(() => Promise.resolve([])), [])
    assert.deepEqual(await lines(said, new SecretBox(randomBytes(32))), [])
    const none = { ...failure, container: null }
    assert.deepEqual(
      await readLastLines(none, deploymentOf(secrets), { docker: docker({ lastLines: said }), secrets }),
      [],
    )
  })
})
