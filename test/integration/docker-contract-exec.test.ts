import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { SILENT } from '../support/build-output.js'
import { type Engines, type EngineUnderTest, EVERY_ENGINE, openEngines } from '../support/docker-engines.js'
import { filesContext } from '../support/build-files.js'
import { webApp } from '../support/repository.js'

const PLAIN = { noCache: false, target: null, args: {}, platform: null, secrets: new Map<string, string>() }
const SIGNAL = new AbortController().signal

/** Longshore's own port does the same on the real engine and on the fake. */
for (const [name, { kind, speaks }] of Object.entries(EVERY_ENGINE)) {
  describe(`a command inside a container on the ${name}`, () => {
    let engines: Engines
    let engine: EngineUnderTest

    before(async () => {
      engines = await openEngines(speaks)
      engine = engines[kind]
    })
    after(() => engines[Symbol.asyncDispose]())

    /** Starts a container of an image that has the check, and runs it. */
    async function checked(called: string, ...check: string[]) {
      const docker = engine.port('buildkit')
      const files = webApp('hello')
      const Dockerfile = `${files.Dockerfile}\nHEALTHCHECK --interval=90s CMD ${JSON.stringify(check)}\n`
      const container = `${engine.mark}-${called}`
      const labels = { ...engine.labels, 'longshore.epoch': '1' }
      const context = filesContext({ ...files, Dockerfile })
      const plan = {
        ...PLAIN,
        dockerfile: 'Dockerfile',
        tag: `${engine.mark}:${called}`,
        labels,
        output: SILENT,
      }
      const { id: image } = await docker.build({ ...plan, context }, SIGNAL)
      const limits = { command: null, memoryBytes: 64 * 1024 * 1024, cpus: 0.5, pids: 50 }
      await docker.createContainer({ name: container, image, env: ['PORT=8080'], labels, ...limits }, SIGNAL)
      await docker.startContainer(container, SIGNAL)
      const state = await docker.findContainer(container)
      const result = await docker.runCommand({ container, command: check, timeoutMs: 60_000 }, SIGNAL)
      return { docker, container, state, result }
    }

    test('is its HEALTHCHECK, whose interval is not waited for', async () => {
      const { docker, container, state, result } = await checked('well', '/bin/busybox', 'true')
      assert.deepEqual(state?.healthCheck, {
        command: ['/bin/busybox', 'true'],
        ...{ intervalMs: 90_000, timeoutMs: 30_000, startPeriodMs: 0, retries: 3, last: null },
      })
      // The fake's first run is at once.
      assert.equal(state.health, kind === 'real' ? 'starting' : 'healthy')
      assert.deepEqual(result, { exitCode: 0, output: '' })
      await docker.stopContainer(container, 0)
      const command = { container, command: ['/bin/busybox', 'true'], timeoutMs: 60_000 }
      assert.equal(await docker.runCommand(command, SIGNAL), null)
      assert.equal(await docker.runCommand({ ...command, container: 'nope' }, SIGNAL), null)
      await docker.removeContainer(container, 0)
    })

    test('says why it cannot run', async () => {
      const { docker, container, result } = await checked('absent', 'curl', 'http://localhost/')
      assert.ok(result && [126, 127].includes(result.exitCode ?? 0), JSON.stringify(result))
      assert.match(result.output, /curl.*executable file not found/s)
      await docker.removeContainer(container, 0)
    })
  })
}
