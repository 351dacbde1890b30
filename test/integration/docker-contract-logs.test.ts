import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerLogsQuery, ContainerOutput } from '../../src/engine/docker/docker.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import {
  type Engines,
  type EngineUnderTest,
  EVERY_ENGINE,
  openEngines,
  UNLIMITED,
} from '../support/docker-engines.js'
import { FakeDocker } from '../support/fake-docker/fake-docker.js'

const ALL: ContainerLogsQuery = { tail: null, since: null, follow: false }

/** What containers wrote, by Longshore's port: the same on the real engine and on the fake. */
for (const [name, { kind, speaks }] of Object.entries(EVERY_ENGINE)) {
  describe(`the output of containers on the ${name}`, () => {
    let engines: Engines
    let engine: EngineUnderTest
    before(async () => {
      engines = await openEngines(speaks)
      engine = engines[kind]
    })
    after(() => engines[Symbol.asyncDispose]())

    async function run(name: string, script: string): Promise<string> {
      const full = `${engine.mark}-${name}`
      await engine.create(full, script)
      await engine.call('POST', `/containers/${full}/start`)
      return full
    }

    async function read(
      name: string,
      query: Partial<ContainerLogsQuery>,
      signal = new AbortController().signal,
    ): Promise<ContainerOutput[]> {
      const output = await engine.port('buildkit').containerLogs(name, { ...ALL, ...query }, signal)
      assert.ok(output)
      const found: ContainerOutput[] = []
      for await (const message of output) found.push(message)
      return found
    }

    const texts = (messages: readonly ContainerOutput[]) =>
      messages.map(({ stream, bytes }) => `${stream} ${bytes.toString('utf8')}`)

    test('comes with stream and time, followed to the end of the container', async () => {
      const pause = 'busybox sleep 0.2'
      const name = await run('both', `${pause}; echo one; ${pause}; echo two >&2; ${pause}; echo "drei ä"`)
      const followed = await read(name, { follow: true })
      assert.deepEqual(texts(followed), ['STDOUT one\n', 'STDERR two\n', 'STDOUT drei ä\n'])
      for (const { at } of followed) assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
      assert.deepEqual(await read(name, {}), followed)
      assert.deepEqual(await read(name, { tail: 2 }), followed.slice(1))
      assert.deepEqual(await read(name, { tail: 0 }), [])
      // An instant includes itself: what has its time is told apart by counting.
      for (const [index, { at }] of followed.entries()) {
        assert.deepEqual(await read(name, { since: at }), followed.slice(index))
        assert.deepEqual(await read(name, { since: at, follow: true }), followed.slice(index))
      }
    })

    test('ends when it is not wanted any more, whether the container writes or not', async () => {
      const name = await run('silent', 'echo one; busybox sleep 100')
      const abort = new AbortController()
      const output = await engine.port('buildkit').containerLogs(name, { ...ALL, follow: true }, abort.signal)
      const iterator = output?.[Symbol.asyncIterator]()
      assert.equal(((await iterator?.next())?.value as ContainerOutput).bytes.toString(), 'one\n')
      const next = iterator?.next()
      await sleep(50)
      abort.abort(new Error('enough'))
      await assert.rejects(async () => next)
    })

    test('of a container that is not there is nothing', async () => {
      const signal = new AbortController().signal
      assert.equal(await engine.port('buildkit').containerLogs('nope', ALL, signal), null)
    })
  })
}

test('logs that the engine does not even begin to give end by their time, or with whoever wanted them', async () => {
  await using engine = await FakeDocker.start()
  engine.fault({ path: /^\/containers\/x\/json/, kind: 'hang', times: 2 })
  const port = (dockerTimeoutMs: number) =>
    new Dockerode({
      ...UNLIMITED,
      dockerHost: engine.host,
      builder: 'classic',
      buildSilenceMs: 9_000,
      dockerTimeoutMs,
    })
  const never = new AbortController().signal
  await assert.rejects(port(100).containerLogs('x', ALL, never), /did not answer within 100 ms/)
  const abort = new AbortController()
  const asked = port(60_000).containerLogs('x', ALL, abort.signal)
  setTimeout(() => abort.abort(new Error('enough')), 100)
  await assert.rejects(asked, /enough/)
})
