import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CommandError } from '../../src/engine/command-error.js'
import { openRuntimeLog } from '../../src/engine/runtime-logs/reader.js'
import type { DockerHttp } from '../support/docker-http.js'
import type { TestProcess } from '../support/engine.js'
import type { FakeDocker } from '../support/fake-docker/fake-docker.js'
import { readLines, RuntimeLogScene } from '../support/runtime-log-scene.js'
import { until } from '../support/server.js'

describe('runtime logs between processes', () => {
  let scene: RuntimeLogScene
  let worker: TestProcess
  let api: TestProcess
  let docker: FakeDocker
  let http: DockerHttp
  before(async () => {
    scene = await RuntimeLogScene.open()
    ;({ worker, api, docker, http } = scene)
  })
  after(() => scene[Symbol.asyncDispose]())

  const follower = (workerId: string) => scene.follower(workerId)
  const serving = () => scene.serving()
  const open = (stageId: string, tail: number) => openRuntimeLog(api, stageId, { tail })

  async function stored(): Promise<{ unread: number; chunks: number }> {
    const [row] = await api.database.query<{ unread: number; chunks: number }[]>(
      `SELECT (SELECT max(last_seq - read_seq) FROM runtime_log_viewer)::int AS unread,
              (SELECT count(*) FROM runtime_log_chunk)::int AS chunks`,
    )
    assert.ok(row)
    return row
  }

  test('the last lines are those of all replicas together', async () => {
    const { stageId, names } = await serving()
    for (let n = 1; n <= 10; n++) docker.write(names[n % 2 === 0 ? 0 : 1], `line ${n}\n`)
    await using _worker = follower('tail')
    const reader = await open(stageId, 4)
    assert.deepEqual((await readLines(reader, 4)).sort(), ['line 10', 'line 7', 'line 8', 'line 9'])
    docker.write(names[0], 'live\n')
    assert.deepEqual(await readLines(reader, 1), ['live'])
    await reader.return()
  })

  test('a viewer that does not read has 64 chunks stored at most, and loses nothing', async () => {
    const { stageId, names } = await serving()
    await using _worker = follower('slow')
    const reader = await open(stageId, 0)
    docker.write(names[0], 'first\n')
    assert.deepEqual(await readLines(reader, 1), ['first'])
    const line = (n: number) => `${n} ${'x'.repeat(1_000)}`
    for (let n = 0; n < 5_000; n++) docker.write(names[0], `${line(n)}\n`)
    await until(async () => (await stored()).unread === 64)
    await sleep(500)
    const { unread, chunks } = await stored()
    assert.equal(unread, 64)
    assert.ok(chunks <= 65, `${chunks} chunks`)
    assert.deepEqual(
      await readLines(reader, 5_000),
      Array.from({ length: 5_000 }, (_, n) => line(n)),
    )
    await reader.return()
    await until(async () => (await stored()).chunks === 0)
  })

  test('a worker that lost its claim stores nothing more, and the next one goes on behind the last stored line', async () => {
    const { stageId, names } = await serving()
    const first = follower('first')
    const reader = await open(stageId, 0)
    let written = 0
    const writing = setInterval(() => docker.write(names[0], `${written++}\n`), 1)
    const lines = await readLines(reader, 50)
    // As after a stop of the process for longer than its lease: it still believes that it holds the viewer.
    await api.database.query(
      "UPDATE runtime_log_viewer SET lease_until = now() - interval '1 s', lease_owner = NULL",
    )
    await using _second = follower('second')
    lines.push(...(await readLines(reader, 500)))
    await first[Symbol.asyncDispose]()
    lines.push(...(await readLines(reader, 500)))
    clearInterval(writing)
    assert.deepEqual(
      lines,
      lines.map((_, n) => String(n)),
    )
    await reader.return()
  })

  test('a container that starts again goes on where it ended; one that is made again begins anew', async () => {
    const { stageId, names } = await serving()
    await using _worker = follower('again')
    const reader = await open(stageId, 0)
    docker.write(names[0], 'before\n')
    assert.deepEqual(await readLines(reader, 1), ['before'])
    await http.call('POST', `/containers/${names[0]}/restart?t=0`)
    docker.write(names[0], 'restarted\n')
    assert.deepEqual(await readLines(reader, 1), ['restarted'])
    await http.call('DELETE', `/containers/${names[0]}?force=1`)
    await http.call('POST', `/containers/create?name=${names[0]}`, { Image: 'app:1', HostConfig: {} })
    await http.call('POST', `/containers/${names[0]}/start`)
    docker.write(names[0], 'made again\n')
    assert.deepEqual(await readLines(reader, 1), ['made again'])
    await reader.return()
  })

  test('an engine that was away is followed again, without a gap', async () => {
    const { stageId, names } = await serving()
    await using _worker = follower('away')
    const reader = await open(stageId, 0)
    docker.write(names[0], 'before\n')
    assert.deepEqual(await readLines(reader, 1), ['before'])
    await docker.down()
    docker.write(names[0], 'meanwhile\n')
    await sleep(100)
    await docker.up()
    docker.write(names[0], 'afterwards\n')
    assert.deepEqual(await readLines(reader, 2), ['meanwhile', 'afterwards'])
    await reader.return()
  })

  test('a container that starts again and again is not read from its beginning, though a stream is silent', async () => {
    const { stageId, names } = await serving()
    await using _worker = follower('crashing')
    const reader = await open(stageId, 10)
    docker.write(names[0], 'before\n')
    assert.deepEqual(await readLines(reader, 1), ['before'])
    await sleep(1_100)
    docker.write(names[0], 'crash\n')
    assert.deepEqual(await readLines(reader, 1), ['crash'])
    await http.call('POST', `/containers/${names[0]}/stop?t=0`)
    const silent = `places -> -1 -> 'shown' ? $1`
    await until(async () => {
      const sql = `SELECT 1 FROM runtime_log_viewer WHERE ${silent}`
      return (await api.database.query<unknown[]>(sql, [`${names[0]}/STDERR`])).length > 0
    })
    await http.call('POST', `/containers/${names[0]}/start`)
    docker.write(names[0], 'at last\n', 2)
    assert.deepEqual(await readLines(reader, 1), ['at last'])
    await reader.return()
  })

  test('a viewer whose place the database has lost is told so, at the end', async () => {
    const { stageId } = await serving()
    const reader = await open(stageId, 0)
    const next = reader.next()
    // What PostgreSQL does with unlogged tables after a crash.
    await api.database.query('TRUNCATE runtime_log_viewer, runtime_log_chunk')
    const last: unknown = (await next).value
    assert.ok(last instanceof CommandError)
    assert.match(last.message, /subscribe again/)
    assert.equal((await reader.next()).done, true)
  })

  test('a viewer that is gone without a word is removed when its time is over', async () => {
    const { stageId } = await serving()
    await using _worker = follower('expiry')
    await api.database.query(
      `INSERT INTO runtime_log_viewer (id, stage_id, tail, expires_at) VALUES ('gone', $1, 0, now())`,
      [stageId],
    )
    await until(async () => {
      const rows = await api.database.query<unknown[]>(`SELECT 1 FROM runtime_log_viewer WHERE id = 'gone'`)
      return rows.length === 0
    })
  })

  test('a wait ends at once when nobody reads any more, or with the app', async () => {
    const { appId, stageId } = await serving()
    const [left, deleted] = [await open(stageId, 0), await open(stageId, 0)]
    const [waiting, ending] = [left.next(), deleted.next()]
    await left.return()
    assert.equal((await waiting).done, true)
    const deleting = worker.commands.apps.delete(appId) // waits for a worker, which is not part of this
    assert.equal((await ending).done, true)
    await worker.database.query('DELETE FROM app WHERE id = $1', [appId])
    worker.wakeups.appRemoved(appId)
    assert.equal(await deleting, true)
  })
})
