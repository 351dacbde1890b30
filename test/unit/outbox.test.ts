import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Queryable } from '../../src/engine/sql/queryable.js'
import { Outbox } from '../../src/engine/runtime-logs/outbox.js'
import type { ClaimedViewer, RuntimeLogInput } from '../../src/engine/runtime-logs/store.js'
import { LogStream } from '../../src/entities/deployment-status.js'

const AT = new Date('2026-01-01T00:00:00Z')
const VIEWER: ClaimedViewer = {
  id: 'viewer',
  stageId: 'stage',
  tail: 0,
  createdAt: AT,
  epoch: 1,
  lastSeq: 0,
  readSeq: 0,
  places: [],
  until: null,
}
const { STDOUT, STDERR } = LogStream

function line(text: string, stream = STDOUT): RuntimeLogInput {
  return { deploymentId: 'd', at: AT, stream, text: `${text}\n` }
}

/** A database that is never done, or one that notes the chunks that it is given. */
function database(texts: string[] | null): Queryable {
  const query = (_sql: string, parameters: unknown[] = []) => {
    if (!texts) return new Promise<never>(() => undefined)
    texts.push(...(parameters[8] as string[]))
    return Promise.resolve([{ id: VIEWER.id }])
  }
  return { query: query as Queryable['query'] }
}

describe('what is on its way to a viewer', () => {
  test('is bounded also where each line is a chunk of its own', async () => {
    const stop = new AbortController()
    const outbox = new Outbox({ database: database(null), announce: () => undefined }, VIEWER, stop.signal)
    const running = outbox.run()
    let added = 0
    const filling = (async () => {
      for (; !stop.signal.aborted; added++) {
        await outbox.untilRoom()
        outbox.add(line('x', added % 2 === 0 ? STDOUT : STDERR), null)
      }
    })()
    for (let last = -1; last !== added;) {
      last = added
      for (let turns = 0; turns < 50; turns++) await turn()
    }
    const queued = added
    stop.abort()
    await Promise.race([Promise.all([running, filling]), turn()])
    assert.ok(queued > 500 && queued < 2_000, `${queued} chunks`)
  })

  test('comes in chunks of at most 32 KiB, whatever script it is written in', async () => {
    const stop = new AbortController()
    const texts: string[] = []
    const outbox = new Outbox(
      { database: database(texts), announce: () => stop.abort() },
      VIEWER,
      stop.signal,
    )
    const lines = Array.from({ length: 20 }, (_, index) => line('你'.repeat(250 * index)))
    for (const one of lines) outbox.add(one, null)
    await outbox.run()
    assert.equal(texts.join(''), lines.map(({ text }) => text).join(''))
    assert.ok(texts.length < lines.length)
    for (const text of texts) assert.ok(Buffer.byteLength(text) <= 32 * 1024)
  })
})
