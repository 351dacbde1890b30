import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { openBuildSession } from '../../src/engine/docker/build-session.js'
import { EngineCalls } from '../../src/engine/docker/calls.js'
import { EngineClient } from '../../src/engine/docker/client.js'
import type { BuildContext, Contents } from '../../src/engine/docker/docker.js'
import { tarEntry } from '../../src/engine/docker/tar-entry.js'
import { SILENT } from '../support/build-output.js'
import { filesContext } from '../support/build-files.js'
import { type Engines, openEngines } from '../support/docker-engines.js'
import { webApp } from '../support/repository.js'

const PLAIN = { noCache: false, target: null, args: {}, platform: null, secrets: new Map<string, string>() }
const BROKEN = new Error('the context of the test is broken')
/** The beginning of a tar whose only file is much longer than what comes of it. */
const HALF = tarEntry('big', 'x'.repeat(8 * 1024 * 1024)).subarray(0, 1024)
const WHOLE = filesContext({ ...webApp('page'), big: 'x'.repeat(1024 * 1024) })

/** Each gives a tar that has failed, or fails, at another moment of a build. */
const TARS: Record<string, () => Readable> = {
  'before anybody reads it': () => new PassThrough().on('error', () => undefined).destroy(BROKEN),
  'in the turn in which the build begins': () => {
    const tar = new PassThrough()
    queueMicrotask(() => tar.destroy(BROKEN))
    return tar
  },
  'when it is read first': () =>
    new Readable({
      read() {
        this.destroy(BROKEN)
      },
    }),
  'in the middle': () => {
    let pieces = 0
    return new Readable({
      read() {
        if (pieces++ === 0) this.push(HALF)
        else if (pieces < 20) this.push(Buffer.alloc(64 * 1024))
        else setImmediate(() => this.destroy(BROKEN))
      },
    })
  },
}

function reading(read: Contents['read']): () => Contents {
  return () => ({ read, [Symbol.dispose]: () => undefined })
}

/** The same for files that are asked for. */
const FILES: Record<string, Partial<BuildContext>> = {
  'before anybody reads it': {
    contents: () => {
      throw BROKEN
    },
  },
  'as it is listed': {
    get entries(): never {
      throw BROKEN
    },
    get dockerfileEntries(): never {
      throw BROKEN
    },
  },
  'when it is read first': {
    contents: reading(() => {
      throw BROKEN
    }),
  },
  'in the middle': {
    contents: reading(async function* (id) {
      yield Buffer.from(id === 'Dockerfile' ? (webApp('page').Dockerfile ?? '') : 'half of it')
      await turn()
      if (id !== 'Dockerfile') throw BROKEN
    }),
  },
}

const CASES: ['classic' | 'buildkit', string, () => BuildContext][] = [
  ...Object.entries(TARS).map(
    ([when, tar]) => ['classic', when, () => ({ ...WHOLE, tar })] as (typeof CASES)[number],
  ),
  ...Object.entries(FILES).map(([when, part]) => {
    const context = Object.defineProperties({ ...WHOLE }, Object.getOwnPropertyDescriptors(part))
    return ['buildkit', when, () => context] as (typeof CASES)[number]
  }),
]

/** An error that nobody waits for ends the process, and here the test. */
for (const kind of ['real', 'fake'] as const) {
  describe(`a build on the ${kind} engine`, () => {
    let engines: Engines
    before(async () => {
      engines = await openEngines()
    })
    after(() => engines[Symbol.asyncDispose]())

    for (const [builder, when, open] of CASES) {
      test(`of ${builder} whose context fails ${when} ends with its error, and nothing else does`, async () => {
        const engine = engines[kind]
        for (let round = 0; round < 5; round++) {
          const tag = `${engine.mark}:broken`
          const request = { context: open(), dockerfile: 'Dockerfile', tag, labels: engine.labels, ...PLAIN }
          const limit = AbortSignal.timeout(30_000)
          await assert.rejects(engine.port(builder).build({ ...request, output: SILENT }, limit), BROKEN)
          await turn()
        }
      })
    }

    test('that is over in the turn in which its session is open leaves nothing that throws', async () => {
      const noDockerode = () => assert.fail('a session asks for nothing else')
      const calls = new EngineCalls(new EngineClient(engines[kind].host), noDockerode, {
        dockerTimeoutMs: 10_000,
      })
      const offer = { context: WHOLE, secrets: new Map<string, string>(), failed: () => undefined }
      for (let round = 0; round < 20; round++) {
        const session = await openBuildSession(calls, offer, AbortSignal.timeout(30_000))
        session[Symbol.dispose]()
        await turn()
      }
    })

    test('that is cancelled at any moment ends with the reason, and nothing else does', async () => {
      const engine = engines[kind]
      for (let round = 0; round < 40; round++) {
        const abort = new AbortController()
        const reason = new Error('cancelled')
        const tag = `${engine.mark}:cancelled`
        const request = { context: WHOLE, dockerfile: 'Dockerfile', tag, labels: engine.labels, ...PLAIN }
        const building = engine
          .port('buildkit')
          .build({ ...request, noCache: true, output: SILENT }, abort.signal)
        building.catch(() => undefined)
        for (let wait = 0; wait < round; wait++) await turn()
        abort.abort(reason)
        await building.catch((error: unknown) => assert.equal(error, reason))
        await turn()
      }
    })
  })
}
