import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { BuildOutput } from '../../src/engine/docker/docker.js'
import { tarEntry } from '../../src/engine/docker/tar-entry.js'
import { type Engines, openEngines } from '../support/docker-engines.js'

const PLAIN = { noCache: false, target: null, args: {}, platform: null, secrets: new Map<string, string>() }
const OUTPUT: BuildOutput = {
  line: () => undefined,
  bytes: () => Promise.resolve(),
  ended: () => undefined,
}
const BROKEN = new Error('the context of the test is broken')

/** The beginning of a tar whose only file is much longer than what comes of it. */
const HALF = tarEntry('big', 'x'.repeat(8 * 1024 * 1024)).subarray(0, 1024)

/** Each gives a context that has failed, or fails, at another moment of a build. */
const CONTEXTS: Record<string, () => Readable> = {
  'before anybody reads it': () => {
    const context = new PassThrough().on('error', () => undefined)
    return context.destroy(BROKEN)
  },
  'in the turn in which the build begins': () => {
    const context = new PassThrough()
    queueMicrotask(() => context.destroy(BROKEN))
    return context
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
        else setTimeout(() => this.destroy(BROKEN), 1)
      },
    })
  },
}

/** An error that nobody waits for ends the process, and here the test. */
for (const kind of ['real', 'fake'] as const) {
  describe(`a build on the ${kind} engine`, () => {
    let engines: Engines
    before(async () => {
      engines = await openEngines()
    })
    after(() => engines[Symbol.asyncDispose]())

    for (const builder of ['classic', 'buildkit'] as const) {
      for (const [when, open] of Object.entries(CONTEXTS)) {
        test(`of ${builder} whose context fails ${when} ends with the context's error, and nothing else does`, async () => {
          const engine = engines[kind]
          for (let round = 0; round < 5; round++) {
            const tag = `${engine.mark}:broken`
            const request = {
              context: open(),
              dockerfile: 'Dockerfile',
              tag,
              labels: engine.labels,
              ...PLAIN,
            }
            const built = engine
              .port(builder)
              .build({ ...request, output: OUTPUT }, AbortSignal.timeout(30_000))
            await assert.rejects(built, BROKEN)
            await turn()
          }
        })
      }
    }
  })
}
