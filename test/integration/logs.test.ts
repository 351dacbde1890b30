import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DeploymentStatus, LogStream } from '../../src/entities/deployment-status.js'
import { LostClaimError } from '../../src/engine/errors.js'
import { dropLogPartitions } from '../../src/engine/logs/partitions.js'
import { type LogEntry, LogReader } from '../../src/engine/logs/reader.js'
import { settle } from '../../src/engine/queue/states.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { endLog, openLog, readLog, storedLog, textOf } from '../support/logs.js'

const { RUNNING, FAILED } = DeploymentStatus
/** A reader that waits looks again after 2 s by itself. */
const POLL_MS = 1_800

describe('a log', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let worker: TestProcess
  let api: TestProcess

  before(async () => {
    opened = await openProcesses(2)
    ;[worker, api] = opened.processes as [TestProcess, TestProcess]
  })
  after(() => opened[Symbol.asyncDispose]())

  async function readReconnecting(process: TestProcess, id: string, times: number): Promise<LogEntry[]> {
    const entries: LogEntry[] = []
    for (let time = 0; time <= times && !entries.at(-1)?.end; time++) {
      entries.push(...(await readLog(process, id, entries.at(-1)?.seq, time < times ? 7 : Infinity)))
    }
    return entries
  }

  test('is the same for whoever reads it, from wherever, whenever', async () => {
    const { deployment, writer } = await openLog(worker)
    const whole = readLog(worker, deployment.id)
    const elsewhere = readLog(api, deployment.id)
    const reconnecting = readReconnecting(api, deployment.id, 5)
    const output = writer.output(LogStream.STDOUT)
    let halfWay: Promise<LogEntry[]> | null = null
    for (let line = 0; line < 400; line++) {
      await output.write(Buffer.from(`line ${line}\n`))
      if (line % 7 === 0) await sleep(1)
      if (line === 200) halfWay = readLog(api, deployment.id)
    }
    output.end()
    await endLog(worker, deployment, writer)
    const late = readLog(api, deployment.id)
    const expected = await storedLog(worker, deployment.id)
    assert.match(expected, /^line 0\n[^]*line 399\nFailed\.\n$/)
    for (const reader of [whole, elsewhere, reconnecting, halfWay, late]) {
      const entries = (await reader) ?? []
      assert.equal(textOf(entries), expected)
      assert.deepEqual(
        entries.map((entry) => entry.seq),
        entries.map((_entry, index) => index + 1),
      )
      assert.deepEqual(
        entries.map((entry) => entry.end?.status ?? null),
        [...entries.slice(1).map(() => null), FAILED],
      )
    }
  })

  test('gives its end once more to who has it all already', async () => {
    const { deployment, writer } = await openLog(worker)
    await endLog(worker, deployment, writer)
    const [entry, ...others] = await readLog(api, deployment.id, 1)
    assert.deepEqual([entry?.seq, entry?.text, entry?.end?.lastSeq, others.length], [1, '', 1, 0])
  })

  test('ends a waiting reader at once when it is given up', async () => {
    const { deployment } = await openLog(worker)
    const reader = new LogReader(api.hub, deployment.id, 0)
    const next = reader.next()
    await sleep(20)
    const startedAt = performance.now()
    await reader.return()
    assert.equal((await next).done, true)
    assert.ok(performance.now() - startedAt < POLL_MS, 'a poll came first')
    assert.equal(api.hub.viewers(), 0)
  })

  test('reaches other processes although their wake-ups are lost, and wake-ups come back', async () => {
    const { deployment, writer } = await openLog(worker)
    const reading = readLog(api, deployment.id)
    await api.database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'longshore-wakeups'`,
    )
    writer.system('while nobody listens')
    await writer.flush()
    await endLog(worker, deployment, writer)
    assert.equal(textOf(await reading), 'while nobody listens\nFailed.\n')
    const woken = new Promise((resolve) => api.wakeups.on('app', resolve))
    const asking = setInterval(() => worker.wakeups.appRemoved('back'), 50)
    assert.ok(['', 'back'].includes((await woken) as string))
    clearInterval(asking)
  })

  test('makes its source wait while the database does, with bounded memory, and loses nothing', async () => {
    const { deployment, writer } = await openLog(worker)
    const blocker = worker.database.createQueryRunner()
    await blocker.startTransaction()
    await blocker.query('SELECT 1 FROM log_stream WHERE deployment_id = $1 FOR UPDATE', [deployment.id])
    const output = writer.output(LogStream.STDOUT)
    const piece = Buffer.from(`${'x'.repeat(1023)}\n`)
    let written = 0
    const writing = (async () => {
      for (; written < 4096; written++) await output.write(piece)
    })()
    await sleep(500)
    const taken = written
    await blocker.rollbackTransaction()
    await blocker.release()
    await writing
    output.end()
    await endLog(worker, deployment, writer)
    assert.ok(taken < 3000, `${taken} KiB were taken while nothing could be stored`)
    assert.equal((await storedLog(worker, deployment.id)).length, 4096 * 1024 + 'Failed.\n'.length)
  })

  test('is refused to a worker whose claim is lost, and the worker is told', async () => {
    let lost = 0
    const { deployment, writer } = await openLog(worker, () => (lost += 1))
    writer.system('mine')
    await writer.flush()
    await worker.database.query('UPDATE log_stream SET epoch = epoch + 1 WHERE deployment_id = $1', [
      deployment.id,
    ])
    writer.system('not mine any more')
    await assert.rejects(writer.flush(), LostClaimError)
    assert.equal(lost, 1)
    assert.equal(await storedLog(worker, deployment.id), 'mine\n')
  })

  test('closes in the transaction that makes its deployment run', async () => {
    const { deployment, writer } = await openLog(worker)
    const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
    await writer.overflowTail()
    await assert.rejects(
      worker.database.transaction(async (manager) => {
        await manager.query(`UPDATE deployment SET status = 'ROUTING' WHERE id = $1`, [deployment.id])
        await settle(manager, claim, { to: RUNNING, text: 'Running.' })
        throw new Error('the commit fails')
      }),
      /the commit fails/,
    )
    assert.equal(await storedLog(worker, deployment.id), '')
  })

  test('goes with its week when it has ended, 30 days later, and no other week goes', async () => {
    const { deployment, writer } = await openLog(worker)
    const weeks = [40, 20].map((days) => `date_trunc('week', now() - interval '${days} days')::date`)
    for (const week of weeks) await worker.database.query(partitionOf(week))
    const partitions = async () => {
      const sql = `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'log_chunk'::regclass`
      return (await worker.database.query<{ name: string }[]>(sql)).map(({ name }) => name).sort()
    }
    const before = await partitions()
    const began = `UPDATE log_stream SET log_day = ${weeks[0]} + 6 WHERE deployment_id = $1`
    await worker.database.query(began, [deployment.id])
    assert.equal(await dropLogPartitions(worker.database, 30), 0, 'its log is open')
    writer.system('after weeks')
    await writer.flush()
    await endLog(worker, deployment, writer)
    assert.equal(await storedLog(worker, deployment.id), 'after weeks\nFailed.\n')
    assert.equal(await dropLogPartitions(worker.database, 30), 1)
    assert.deepEqual(await partitions(), before.slice(1))
    const entries = await readLog(api, deployment.id)
    assert.deepEqual(
      entries.map(({ text, end: ended }) => [text, ended?.status]),
      [['', FAILED]],
    )
  })
})

/** SQL that makes a week's partition of the log, as a process of that week did. */
function partitionOf(week: string): string {
  return `DO $$ BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF log_chunk FOR VALUES FROM (%L) TO (%L)',
                   'log_chunk_from_' || to_char(${week}, 'YYYYMMDD'), ${week}, ${week} + 7);
  END $$`
}
