import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiServer } from '../support/api-server.js'
import type { TestProcess } from '../support/engine.js'
import { endLog, openLog, storedLog } from '../support/logs.js'
import { TOKEN, until } from '../support/server.js'
import { useApi } from '../support/use-api.js'

const LINES = Array.from({ length: 300 }, (_, index) => `line ${index + 1}\n`)

describe('a log over HTTP', () => {
  let worker: TestProcess
  let api: ApiServer
  /** Of a log that has ended. */
  let ended = ''
  let whole = ''

  useApi(async (opened, used) => {
    ;[api, worker] = [opened, used]
    const { deployment, writer } = await openLog(worker)
    for (const line of LINES) {
      writer.system(line.trimEnd())
      if (line.endsWith('0\n')) await writer.flush()
    }
    await endLog(worker, deployment, writer)
    ended = deployment.id
    whole = await storedLog(worker, ended)
    assert.ok(whole.endsWith('line 300\nFailed.\n'))
  })

  const ask = (
    id: string,
    query = '',
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ) =>
    fetch(`http://127.0.0.1:${api.port}/api/v1/deployments/${id}/logs${query}`, {
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
      ...(signal && { signal }),
    })
  const EVENTS = { accept: 'text/event-stream' }

  test('is text: whole, after a seq, or its last lines', async () => {
    const answer = await ask(ended)
    assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
    assert.equal(answer.headers.get('x-longshore-status'), 'failed')
    assert.equal(await answer.text(), whole)
    const rows = await worker.database.query<{ text: string }[]>(
      'SELECT text FROM log_chunk WHERE deployment_id = $1 AND seq > 5 ORDER BY seq',
      [ended],
    )
    assert.equal(await (await ask(ended, '?after=5')).text(), rows.map(({ text }) => text).join(''))
    assert.equal(await (await ask(ended, '?tail=3')).text(), 'line 299\nline 300\nFailed.\n')
    assert.equal(await (await ask(ended, '?tail=0')).text(), '')
    assert.equal(await (await ask(ended, '?tail=10000')).text(), whole)
    assert.equal(await (await ask(ended, '?follow=1&tail=2')).text(), 'line 300\nFailed.\n')
  })

  test('that has ended has an ETag, and is not sent twice', async () => {
    const etag = (await ask(ended)).headers.get('etag') ?? ''
    assert.match(etag, /^"\d+-FAILED"$/)
    const again = await ask(ended, '', { 'if-none-match': etag })
    assert.equal(again.status, 304)
    assert.equal(await again.text(), '')
  })

  test('is followed until it ends, and has no ETag before', async () => {
    const { deployment, writer } = await openLog(worker)
    writer.system('before')
    await writer.flush()
    const answer = await ask(deployment.id, '?follow=1')
    assert.equal(answer.headers.get('etag'), null)
    let seen = ''
    const reading = (async () => {
      for await (const bytes of answer.body ?? []) seen += Buffer.from(bytes as Uint8Array).toString()
    })()
    await until(() => seen === 'before\n')
    writer.system('later')
    await until(() => seen === 'before\nlater\n')
    await endLog(worker, deployment, writer)
    await reading
    assert.equal(seen, 'before\nlater\nFailed.\n')
  })

  test('is events whose ids resume it, then one that says how it ended, then nothing', async () => {
    const events = parse(await (await ask(ended, '', EVENTS)).text())
    const data = events.filter(({ event }) => event === 'message')
    assert.equal(data.map((one) => `${one.data}\n`).join(''), whole)
    assert.deepEqual(
      data.map(({ id }) => Number(id)),
      data.map((_, index) => index + 1),
    )
    const end = events.at(-1)
    assert.equal(end?.event, 'end')
    const { status, last_seq: lastSeq, clipped } = JSON.parse(end.data) as Record<string, unknown>
    assert.deepEqual([status, lastSeq, clipped], ['failed', data.length, false])
    const resumed = parse(await (await ask(ended, '', { ...EVENTS, 'last-event-id': '7' })).text())
    assert.deepEqual(resumed, events.slice(7))
    assert.equal((await ask(ended, '', { ...EVENTS, 'last-event-id': String(lastSeq) })).status, 204)
  })

  test('whose client goes while it waits leaves no reader behind', async () => {
    const { deployment, writer } = await openLog(worker)
    for (const headers of [EVENTS, {}]) {
      const gone = new AbortController()
      const asking = ask(deployment.id, '?follow=1', headers, gone.signal).catch(() => null)
      await until(() => worker.hub.viewers() === 1)
      gone.abort()
      await asking
      await until(() => worker.hub.viewers() === 0)
    }
    await endLog(worker, deployment, writer)
  })

  test('is refused with the field that is wrong', async () => {
    const refused: readonly [query: string, field: string][] = [
      ['?after=-1', 'after'],
      ['?after=x', 'after'],
      ['?tail=10001', 'tail'],
      ['?tail=1&after=2', 'tail'],
      ['?follow=yes', 'follow'],
    ]
    for (const [query, field] of refused) {
      const answer = await ask(ended, query)
      assert.equal(answer.status, 400, query)
      assert.equal(((await answer.json()) as { error: { field: string } }).error.field, field)
    }
    assert.equal((await ask('nothing')).status, 404)
    const url = `http://127.0.0.1:${api.port}/api/v1/deployments/${ended}/logs`
    assert.equal((await fetch(url)).status, 401)
    const headers = { authorization: `Bearer ${TOKEN}` }
    assert.equal((await fetch(url, { method: 'HEAD', headers })).status, 404)
  })
})

interface ServerSentEvent {
  readonly event: string
  readonly id: string
  readonly data: string
}

/** As the format has it: fields of an event, comments passed over, an empty line at its end. */
function parse(text: string): ServerSentEvent[] {
  return text
    .split('\n\n')
    .map((block) => block.split('\n').filter((line) => line !== '' && !line.startsWith(':')))
    .filter((lines) => lines.length > 0)
    .map((lines) => {
      const of = (name: string) =>
        lines.flatMap((line) => (line.startsWith(`${name}: `) ? [line.slice(name.length + 2)] : []))
      return { event: of('event')[0] ?? 'message', id: of('id')[0] ?? '', data: of('data').join('\n') }
    })
}
