import assert from 'node:assert/strict'
import { after, before, describe, mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CommandError } from '../../src/engine/command-error.js'
import { encodePlaces } from '../../src/engine/runtime-logs/cursor.js'
import { openRuntimeLog, type RuntimeLogReader } from '../../src/engine/runtime-logs/reader.js'
import { LogResolver } from '../../src/resolvers/log-resolver.js'
import { ApiServer } from '../support/api-server.js'
import { readLines, RuntimeLogScene } from '../support/runtime-log-scene.js'
import { until } from '../support/server.js'
import { Subscriber } from '../support/subscriber.js'

const LOG = `subscription ($stage: ID!, $tail: Int, $after: String) {
  runtimeLogs(stageId: $stage, tail: $tail, after: $after) { text cursor } }`

interface Event {
  readonly text: string
  readonly cursor: string
}

describe('viewers of a runtime log in one process', () => {
  let scene: RuntimeLogScene
  before(async () => {
    scene = await RuntimeLogScene.open()
  })
  after(() => scene[Symbol.asyncDispose]())

  const open = (stageId: string, tail: number, cursor: string | null = null) =>
    openRuntimeLog(scene.api, stageId, { tail, after: cursor })

  async function rows(stageId: string): Promise<number> {
    const sql = 'SELECT 1 FROM runtime_log_viewer WHERE stage_id = $1'
    return (await scene.api.database.query<unknown[]>(sql, [stageId])).length
  }

  /** Reads one entry, and gives its lines and its cursor. */
  async function read(reader: RuntimeLogReader): Promise<{ lines: string[]; cursor: string }> {
    const { value } = (await reader.next()) as { value: unknown }
    if (!value || value instanceof CommandError) throw new Error('it has ended')
    const { text, places } = value as { text: string; places: Parameters<typeof encodePlaces>[0] }
    return { lines: text.slice(0, -1).split('\n'), cursor: encodePlaces(places) }
  }

  test('share one feed, and each is shown what it asked for, wherever it began', async () => {
    const { stageId, names } = await scene.serving()
    await using _worker = scene.follower('shared')
    for (let n = 1; n <= 20; n++) scene.docker.write(names[0], `line ${n}\n`)
    const lines = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`)
    const first = await open(stageId, 10)
    assert.deepEqual(await readLines(first, 10), lines(11, 20))
    scene.docker.write(names[0], 'line 21\n')
    const { lines: seen, cursor } = await read(first)
    assert.deepEqual(seen, lines(21, 21))
    scene.docker.write(names[0], 'line 22\n')
    assert.deepEqual(await readLines(first, 1), lines(22, 22))
    const [fewer, more, none, back] = await Promise.all([
      open(stageId, 3),
      open(stageId, 100),
      open(stageId, 0),
      open(stageId, 0, cursor),
    ])
    assert.deepEqual(await readLines(fewer, 3), lines(20, 22))
    assert.deepEqual(await readLines(more, 22), lines(1, 22))
    assert.deepEqual(await readLines(back, 1), lines(22, 22))
    const all = [first, fewer, more, none, back]
    const next = all.map((reader) => readLines(reader, 2))
    for (const n of [23, 24]) scene.docker.write(names[0], `line ${n}\n`)
    for (const reading of next) assert.deepEqual(await reading, lines(23, 24))
    await until(async () => (await rows(stageId)) === 1)
    await first.return()
    scene.docker.write(names[0], 'line 25\n')
    for (const reader of all.slice(1)) assert.deepEqual(await readLines(reader, 1), lines(25, 25))
    assert.equal(await rows(stageId), 1)
    for (const reader of all) await reader.return()
    await until(async () => (await rows(stageId)) === 0)
  })

  test('come and go while four streams are written, with and without cursors, and miss and repeat nothing', async () => {
    const { stageId, names } = await scene.serving()
    const worker = scene.follower('busy')
    let written = 0
    const write = () => {
      for (const [index, name] of names.entries()) {
        scene.docker.write(name, `${index}/out ${written}\n`)
        if (written % 7 === index) scene.docker.write(name, `${index}/err ${Math.floor(written / 7)}\n`, 2)
      }
      written += 1
    }
    for (let n = 0; n < 200; n++) write()
    const writing = setInterval(write, 1)
    let isOver = false
    /** Some read on, some come back with their cursor, at once or a while later. */
    const view = async (number: number) => {
      const seen: string[] = []
      let cursor: string | null = null
      await sleep(number * 20)
      for (let turn = number; !isOver; turn++) {
        const reader = await open(stageId, 5 + number * 10, cursor)
        for (let entries = 0; entries < 10 + ((turn * 7) % 30) && !isOver; entries++) {
          const entry = await read(reader)
          seen.push(...entry.lines)
          cursor = entry.cursor
        }
        await reader.return()
        await sleep(turn % 3 === 0 ? 50 : 0)
      }
      const rest = await open(stageId, 0, cursor)
      while (!seen.includes('0/out last') || !seen.includes('1/out last'))
        seen.push(...(await read(rest)).lines)
      await rest.return()
      return seen
    }
    const viewing = Array.from({ length: 6 }, (_, number) => view(number))
    await until(() => written > 600)
    // Another goes on for whoever it read for, also for those that are to end.
    await using _next = scene.follower('next')
    await worker[Symbol.asyncDispose]()
    await until(() => written > 1_200)
    clearInterval(writing)
    isOver = true
    write()
    for (const [index, name] of names.entries()) scene.docker.write(name, `${index}/out last\n`)
    for (const [number, seen] of (await Promise.all(viewing)).entries()) {
      for (const stream of ['0/out', '0/err', '1/out', '1/err']) {
        const numbers = seen
          .filter((line) => line.startsWith(stream) && !line.endsWith('last'))
          .map((line) => Number(line.split(' ')[1]))
        const from = numbers[0] ?? 0
        assert.deepEqual(
          numbers,
          numbers.map((_, index) => from + index),
          `viewer ${number}, ${stream}`,
        )
        if (stream.endsWith('out')) assert.equal(numbers.at(-1), written - 1)
      }
    }
  })

  test('follow the stage together when its traffic moves, whatever they had seen of it', async () => {
    const { stageId, names } = await scene.serving()
    const { stageId: otherStage, names: others } = await scene.serving()
    await using _worker = scene.follower('moving')
    const first = await open(stageId, 0)
    scene.docker.write(names[0], 'old 1\n')
    const { cursor } = await read(first)
    scene.docker.write(names[0], 'old 2\n')
    assert.deepEqual(await readLines(first, 1), ['old 2'])
    // Its successor, made of the deployment of another stage.
    const { database } = scene.worker
    const sql = `UPDATE deployment SET stage_id = $1 WHERE stage_id = $2 RETURNING id`
    const [moved] = await database.query<[{ id: string }[], number]>(sql, [stageId, otherStage])
    for (const n of [1, 2]) scene.docker.write(others[0], `new ${n}\n`)
    await database.query('UPDATE stage SET current_deployment_id = $2 WHERE id = $1', [stageId, moved[0]?.id])
    scene.worker.wakeups.trafficMoved(stageId)
    assert.deepEqual(await readLines(first, 2), ['new 1', 'new 2'])
    const [late, back] = [await open(stageId, 1), await open(stageId, 0, cursor)]
    assert.deepEqual(await readLines(late, 1), ['new 2'])
    assert.deepEqual(await readLines(back, 3), ['old 2', 'new 1', 'new 2'])
    const all = [first, late, back]
    scene.docker.write(others[0], 'new 3\n')
    for (const reader of all) assert.deepEqual(await readLines(reader, 1), ['new 3'])
    const next = all.map((reader) => readLines(reader, 1))
    await until(async () => (await rows(stageId)) === 1)
    scene.docker.write(others[0], 'new 4\n')
    for (const reading of next) assert.deepEqual(await reading, ['new 4'])
    for (const reader of all) await reader.return()
  })

  test('one that has fallen behind goes on by itself, and holds up nobody', async () => {
    const { stageId, names } = await scene.serving()
    await using _worker = scene.follower('behind')
    const [owner, quick, slow] = [await open(stageId, 0), await open(stageId, 0), await open(stageId, 0)]
    scene.docker.write(names[0], 'first\n')
    for (const reader of [owner, quick, slow]) assert.deepEqual(await readLines(reader, 1), ['first'])
    const lines = Array.from({ length: 4_000 }, (_, n) => `${n} ${'x'.repeat(1_000)}`)
    for (const line of lines) scene.docker.write(names[0], `${line}\n`)
    assert.deepEqual(await readLines(quick, 4_000), lines)
    assert.deepEqual(await readLines(slow, 4_000), lines)
    assert.deepEqual(await readLines(owner, 4_000), lines)
    scene.docker.write(names[0], 'last\n')
    for (const reader of [owner, quick, slow]) assert.deepEqual(await readLines(reader, 1), ['last'])
    await until(async () => (await rows(stageId)) === 1)
    for (const reader of [owner, quick, slow]) await reader.return()
  })

  test('one that was shown more elsewhere than the feed has read is shown nothing again', async () => {
    const { stageId, names } = await scene.serving()
    await using _worker = scene.follower('ahead')
    const resting = await open(stageId, 0)
    const elsewhere = await openRuntimeLog(scene.worker, stageId, { tail: 0 })
    scene.docker.write(names[0], 'first\n')
    for (const reader of [resting, elsewhere]) assert.deepEqual(await readLines(reader, 1), ['first'])
    const line = (n: number) => `${n} ${'x'.repeat(1_000)}`
    for (let n = 0; n <= 3_000; n++) scene.docker.write(names[0], `${line(n)}\n`)
    let last = { lines: [''], cursor: '' }
    while (last.lines.at(-1) !== line(3_000)) last = await read(elsewhere)
    const back = await open(stageId, 0, last.cursor)
    const next = readLines(back, 1)
    scene.docker.write(names[0], 'next\n')
    assert.deepEqual(await next, ['next'])
    assert.deepEqual((await readLines(resting, 3_002)).slice(-2), [line(3_000), 'next'])
    for (const reader of [resting, elsewhere, back]) await reader.return()
  })

  test('of the same selection share one execution of each event', async () => {
    const { stageId, names } = await scene.serving()
    await using _worker = scene.follower('executions')
    await using server = await ApiServer.open(scene.api)
    const executions = mock.method(LogResolver.prototype, 'runtimeLogs')
    for (const line of ['one', 'two']) scene.docker.write(names[0], `${line}\n`)
    const viewers = await Promise.all(Array.from({ length: 20 }, () => Subscriber.open(server.port)))
    const textOf = (viewer: Subscriber) =>
      viewer
        .dataOf('1')
        .map((data) => (data as { runtimeLogs: Event }).runtimeLogs.text)
        .join('')
    for (const [index, viewer] of viewers.entries())
      viewer.subscribe('1', LOG, { stage: stageId, tail: 1 + (index % 2) })
    const begun = (index: number) => (index % 2 === 0 ? 'two\n' : 'one\ntwo\n')
    await until(() => viewers.every((viewer, index) => textOf(viewer) === begun(index)))
    let expected = ''
    let cost = 0
    for (let n = 3; cost !== 1; n++) {
      assert.ok(n < 200, 'they do not share')
      const executed = executions.mock.callCount()
      const line = `line ${n}\n`
      scene.docker.write(names[0], line)
      expected += line
      await until(() => viewers.every((viewer) => textOf(viewer).endsWith(line)))
      cost = executions.mock.callCount() - executed
    }
    for (const [index, viewer] of viewers.entries())
      assert.equal(textOf(viewer), `${begun(index)}${expected}`)
    await until(async () => (await rows(stageId)) === 1)
    for (const viewer of viewers) viewer[Symbol.dispose]()
    executions.mock.restore()
    await until(async () => (await rows(stageId)) === 0)
  })
})
