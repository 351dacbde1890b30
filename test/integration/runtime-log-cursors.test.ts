import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { CommandError } from '../../src/engine/command-error.js'
import { decodePlaces, encodePlaces } from '../../src/engine/runtime-logs/cursor.js'
import { openRuntimeLog } from '../../src/engine/runtime-logs/reader.js'
import { ApiServer } from '../support/api-server.js'
import { TOKEN, until } from '../support/server.js'
import { nextEntry, readLines, RuntimeLogScene } from '../support/runtime-log-scene.js'

describe('a viewer of a runtime log that comes back with its cursor', () => {
  let scene: RuntimeLogScene
  before(async () => {
    scene = await RuntimeLogScene.open()
  })
  after(() => scene[Symbol.asyncDispose]())

  const open = (stageId: string, after: string | null = null) =>
    openRuntimeLog(scene.api, stageId, { tail: 0, after })
  /** Reads whole entries of one line each, and gives the cursor behind them. */
  async function read(stageId: string, after: string | null, count: number) {
    const reader = await open(stageId, after)
    const lines: string[] = []
    let cursor = after
    while (lines.length < count) {
      const entry = await nextEntry(reader)
      lines.push(...entry.text.slice(0, -1).split('\n'))
      cursor = encodePlaces(entry.places)
    }
    await reader.return()
    return { lines, cursor }
  }

  test('gets each line once, also what was written while it was away, by any worker', async () => {
    const { stageId, names } = await scene.serving()
    const first = scene.follower('first')
    const reader = await open(stageId)
    scene.docker.write(names[0], 'one\n')
    const { text, places } = await nextEntry(reader)
    assert.equal(text, 'one\n')
    await reader.return()
    await first[Symbol.asyncDispose]()
    for (const line of ['two', 'three']) scene.docker.write(names[0], `${line}\n`)
    scene.docker.write(names[1], 'of the other replica\n')
    await using _second = scene.follower('second')
    const missed = await read(stageId, encodePlaces(places), 3)
    assert.deepEqual([...missed.lines].sort(), ['of the other replica', 'three', 'two'])
    assert.ok(missed.lines.indexOf('two') < missed.lines.indexOf('three'))
    scene.docker.write(names[0], 'four\n')
    assert.deepEqual((await read(stageId, missed.cursor, 1)).lines, ['four'])
  })

  test('gets what the deployment before wrote until traffic moved, then the other from its first line', async () => {
    const { stageId, names } = await scene.serving()
    const { stageId: otherStage, names: others } = await scene.serving()
    await using _worker = scene.follower('moved')
    const reader = await open(stageId)
    scene.docker.write(names[0], 'old 1\n')
    const { places } = await nextEntry(reader)
    await reader.return()
    scene.docker.write(names[0], 'old 2\n')
    // Its successor, made of the deployment of another stage.
    const sql = `UPDATE deployment SET stage_id = $1 WHERE stage_id = $2 RETURNING id`
    const { database } = scene.worker
    const [rows] = await database.query<[{ id: string }[], number]>(sql, [stageId, otherStage])
    scene.docker.write(others[0], 'new 1\n')
    await database.query('UPDATE stage SET current_deployment_id = $2 WHERE id = $1', [stageId, rows[0]?.id])
    const back = await open(stageId, encodePlaces(places))
    assert.deepEqual(await readLines(back, 2), ['old 2', 'new 1'])
    await back.return()
  })

  test('comes over HTTP as text, or as events that resume by their ids', async () => {
    const { stageId, names } = await scene.serving()
    await using _worker = scene.follower('http')
    await using api = await ApiServer.open(scene.api)
    const ask = (query: string, headers: Readonly<Record<string, string>>, signal: AbortSignal) =>
      fetch(`http://127.0.0.1:${api.port}/api/v1/stages/${stageId}/logs${query}`, {
        headers: { authorization: `Bearer ${TOKEN}`, ...headers },
        signal,
      })
    /** What comes until it has `wanted`; then the client leaves. */
    async function taken(wanted: string, query = '', headers: Readonly<Record<string, string>> = {}) {
      const left = new AbortController()
      let seen = ''
      for await (const bytes of (await ask(query, headers, left.signal)).body ?? []) {
        seen += Buffer.from(bytes as Uint8Array).toString()
        if (seen.includes(wanted)) break
      }
      left.abort()
      return seen
    }
    for (const line of ['one', 'two']) scene.docker.write(names[0], `${line}\n`)
    assert.equal(await taken('two\n', '?tail=1'), 'two\n')
    const events = { accept: 'text/event-stream' }
    const id = /^id: (\S+)$/m.exec(await taken('two\n\n', '?tail=1', events))?.[1] ?? ''
    scene.docker.write(names[0], 'three\n')
    const resumed = await taken('three\n\n', '', { ...events, 'last-event-id': id })
    assert.deepEqual(resumed.match(/^data: .*$/gm), ['data: three'])
    const viewers = async () =>
      (
        await scene.api.database.query<unknown[]>('SELECT 1 FROM runtime_log_viewer WHERE stage_id = $1', [
          stageId,
        ])
      ).length
    await until(async () => (await viewers()) === 0)
  })

  test('is refused with what is no cursor, or one of another stage', async () => {
    const { stageId } = await scene.serving()
    const { names } = await scene.serving()
    const deploymentId = names[0].split('-').at(-1) ?? ''
    const foreign = encodePlaces([{ deploymentId, from: null, shown: {} }])
    const forged = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const place = { deploymentId, from: null, shown: {} }
    for (const cursor of [
      ...['', 'nonsense', forged({}), forged([]), forged([1]), forged(Array(5).fill(place))],
      ...[forged([{ ...place, from: 'now' }]), forged([{ ...place, deploymentId: "x' OR 1=1" }])],
      ...[forged([{ ...place, shown: { 'a/STDOUT': { at: '', seen: -1 } } }]), foreign, 'A'.repeat(70_000)],
    ]) {
      await assert.rejects(open(stageId, cursor), (error: CommandError) => error.field === 'after', cursor)
    }
    assert.deepEqual(decodePlaces(foreign), [{ deploymentId, from: null, shown: {} }])
  })
})
