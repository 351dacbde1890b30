import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { EntityManager } from 'typeorm'
import { DeploymentStatus, LogStream } from '../../src/entities/deployment-status.js'
import type { Deployment } from '../../src/entities/deployment.js'
import { DeploymentChanges } from '../../src/engine/changes.js'
import { LogHub } from '../../src/engine/logs/hub.js'
import { type LogEntry, LogReader } from '../../src/engine/logs/reader.js'
import { claimNext } from '../../src/engine/queue/claim.js'
import { settle, transition } from '../../src/engine/queue/states.js'
import { Wakeups } from '../../src/engine/wakeups/wakeups.js'
import { createLogger } from '../../src/logger.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { endLog, openLog, readLog } from '../support/logs.js'
import { until } from '../support/server.js'

const { BUILDING, CLONING, FAILED, PENDING, RETIRED, ROUTING, RUNNING, STARTING } = DeploymentStatus

describe('readers in the worker and in another process', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let worker: TestProcess
  let api: TestProcess

  before(async () => {
    opened = await openProcesses(2)
    ;[worker, api] = opened.processes as [TestProcess, TestProcess]
  })
  after(() => opened[Symbol.asyncDispose]())

  test('all of them get the same text whenever they start: before, amid, again and again, after the end', async () => {
    const { deployment, writer } = await openLog(worker)
    const { id } = deployment
    const reconnecting = async (hub: LogHub) => {
      const entries: LogEntry[] = []
      while (!entries.at(-1)?.end) entries.push(...(await readLog({ hub }, id, entries.at(-1)?.seq ?? 0, 40)))
      return entries
    }
    const hubs = [worker.hub, api.hub]
    const readings = hubs.flatMap((hub) => [readLog({ hub }, id), readLog({ hub }, id), reconnecting(hub)])
    const output = writer.output(LogStream.STDOUT)
    const late: { from: number; reading: Promise<LogEntry[]> }[] = []
    for (let line = 0; line < 3_000; line++) {
      await output.write(Buffer.from(`${line} ${'é…'.repeat(line % 300)}\n`))
      if (line % 10 === 0) await writer.flush()
      if (line === 1_500) for (const hub of hubs) readings.push(readLog({ hub }, id), reconnecting(hub))
      if (line === 2_000) for (const hub of hubs) late.push({ from: 77, reading: readLog({ hub }, id, 77) })
    }
    output.end()
    await endLog(worker, deployment, writer)
    for (const hub of hubs) readings.push(readLog({ hub }, id), reconnecting(hub))

    const [stored] = await api.database.query<{ text: string; n: number }[]>(
      `SELECT string_agg(text, '' ORDER BY seq) AS text, count(*)::int AS n FROM log_chunk WHERE deployment_id = $1`,
      [id],
    )
    assert.ok(stored && stored.n > 200, `only ${stored?.n} chunks`)
    const numbers = Array.from({ length: stored.n }, (_, index) => index + 1)
    for (const [index, entries] of (await Promise.all(readings)).entries()) {
      assert.equal(entries.map((entry) => entry.text).join(''), stored.text, `reader ${index}`)
      assert.deepEqual(
        entries.map((entry) => entry.seq),
        numbers,
        `reader ${index}`,
      )
      assert.deepEqual(
        entries.filter((entry) => entry.end).map((entry) => entry.seq),
        [stored.n],
      )
      const bytes = Buffer.byteLength(stored.text)
      assert.deepEqual(entries.at(-1)?.end, {
        status: FAILED,
        lastSeq: stored.n,
        bytes,
        omittedBytes: 0,
        clipped: false,
      })
    }
    for (const { from, reading } of late) {
      assert.deepEqual(
        (await reading).map((entry) => entry.seq),
        numbers.slice(from),
      )
    }
    const [past] = await readLog(api, id, stored.n)
    assert.deepEqual([past?.text, past?.end?.status], ['', FAILED])
    assert.equal(worker.hub.viewers() + api.hub.viewers(), 0)
  })

  test('one whose wake-ups never arrive gets every line by asking', async () => {
    const { deployment, writer } = await openLog(worker)
    await using deaf = new Wakeups('postgres://127.0.0.1:1/nothing', createLogger('error'))
    using hub = new LogHub(api.database, deaf)
    const reader = new LogReader(hub, deployment.id, 0)
    const next = reader.next()
    writer.system('first')
    await writer.flush()
    assert.equal(((await next).value as LogEntry).text, 'first\n')
    const later = reader.next()
    writer.system('second')
    await writer.flush()
    assert.equal(((await later).value as LogEntry).text, 'second\n')
    await reader.return()
  })

  test('a lost claim lets a source go that waits for room in the log', async () => {
    let lost = 0
    const { deployment, writer } = await openLog(worker, () => (lost += 1))
    const blocker = api.database.createQueryRunner()
    await blocker.startTransaction()
    await blocker.query('SELECT 1 FROM log_stream WHERE deployment_id = $1 FOR UPDATE', [deployment.id])
    const output = writer.output(LogStream.STDOUT)
    const line = Buffer.from(`${'x'.repeat(8_191)}\n`)
    let written = 0
    let waiting = false
    const writing = (async () => {
      for (; written < 1_000; written++) {
        waiting = true
        await output.write(line)
        waiting = false
      }
    })()
    await until(async () => {
      const locks = await api.database.query<{ n: number }[]>(
        `SELECT count(*)::int AS n FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND datname = current_database()`,
      )
      return waiting && (locks[0]?.n ?? 0) > 0
    })
    await blocker.query('UPDATE log_stream SET epoch = epoch + 1 WHERE deployment_id = $1', [deployment.id])
    assert.ok(written < 400, `${written} lines were taken while nothing could be stored`)
    await blocker.commitTransaction()
    await blocker.release()
    await writing
    await assert.rejects(writer.flush(), { code: 'LOST_CLAIM' })
    assert.equal(lost, 1)
    const rows = await api.database.query<unknown[]>('SELECT 1 FROM log_chunk WHERE deployment_id = $1', [
      deployment.id,
    ])
    assert.deepEqual(rows, [])
  })

  test('followers of a running deployment are told of its retirement, and only then complete', async () => {
    const { deployment } = await openLog(worker)
    const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
    const follow = await new DeploymentChanges(api.database, api.wakeups, {
      deploymentId: deployment.id,
    }).start()
    const byApp = await new DeploymentChanges(api.database, api.wakeups, { appId: deployment.appId }).start()
    const later = [BUILDING, STARTING, ROUTING, RUNNING, RETIRED]
    for (const status of later) await transition(worker.database, claim, { to: status })
    worker.wakeups.deploymentChanged(deployment.id)
    const seen: string[] = []
    for await (const change of follow) seen.push(change.status)
    assert.deepEqual(seen, [CLONING, ...later])
    const ofApp: string[] = []
    while (ofApp.length <= later.length) ofApp.push(((await byApp.next()).value as Deployment).status)
    assert.deepEqual(ofApp, [CLONING, ...later])
    await byApp.return()
  })

  test('a change that is made while a follower starts is shown once, neither missed nor doubled', async () => {
    const app = { name: 'started-amid', repoUrl: 'https://git.invalid/x.git' }
    const { id: appId } = await worker.commands.apps.create(app)
    let claimed: Deployment | null = null
    // The real database; the other process claims right after the follower's first read.
    const between = new Proxy(api.database, {
      get: (target, name) =>
        name !== 'transaction'
          ? (Reflect.get(target, name, target) as unknown)
          : (isolation: 'REPEATABLE READ', work: (manager: EntityManager) => Promise<void>) =>
              target.transaction(isolation, async (manager) => {
                const query = manager.query.bind(manager)
                manager.query = async <T>(sql: string, parameters?: unknown[]): Promise<T> => {
                  const rows = await query<T>(sql, parameters)
                  claimed ??= await claimNext(worker.database, worker.wakeups, {
                    workerId: 'worker',
                    leaseMs: 60_000,
                    totalConcurrency: null,
                  })
                  return rows
                }
                await work(manager)
              }),
    })
    const [row] = await api.database.query<{ id: string }[]>('SELECT id FROM deployment WHERE app_id = $1', [
      appId,
    ])
    assert.ok(row)
    const changes = await new DeploymentChanges(between, api.wakeups, { deploymentId: row.id }).start()
    assert.ok(claimed, 'nothing came in between')
    const claim = { deploymentId: row.id, epoch: 1 }
    await worker.database.transaction((manager) => settle(manager, claim, { to: FAILED, text: 'Failed.' }))
    worker.wakeups.deploymentChanged(row.id)
    const seen: string[] = []
    for await (const change of changes) seen.push(change.status)
    const whole = [PENDING, CLONING, FAILED]
    assert.deepEqual(seen, whole.slice(whole.indexOf(seen[0] as never)))
  })
})
