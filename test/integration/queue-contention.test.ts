import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { describe, test } from 'node:test'
import { openDatabase } from '../../src/database.js'
import { Disposal } from '../../src/disposal.js'
import { Commands } from '../../src/engine/commands.js'
import { claimNext } from '../../src/engine/queue/claim.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { NOW, settle, transition } from '../../src/engine/queue/states.js'
import { Wakeups } from '../../src/engine/wakeups/wakeups.js'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import type { Deployment } from '../../src/entities/deployment.js'
import { createLogger } from '../../src/logger.js'
import { createTestDatabase } from '../support/database.js'
import { COMMAND_SETTINGS } from '../support/engine.js'

const { BUILDING, CLONING, FAILED, SUPERSEDED } = DeploymentStatus

/** A database with the engine's commands on it. */
async function openEngine() {
  const opened = new Disposal()
  const { url } = opened.use(await createTestDatabase())
  const database = await openDatabase(url)
  opened.defer(() => database.destroy())
  const wakeups = opened.use(new Wakeups(url, createLogger('error')))
  await wakeups.start()
  const commands = new Commands({
    database,
    wakeups,
    secrets: new SecretBox(randomBytes(32)),
    settings: COMMAND_SETTINGS,
  })
  return {
    database,
    commands,
    createApp: (name: string, deploy = true) =>
      commands.apps.create({ name, repoUrl: `file:///srv/${name}`, deploy }),
    claim: (worker = 'worker-1') =>
      claimNext(database, wakeups, { workerId: worker, leaseMs: 60_000, totalConcurrency: null }),
    end: ({ id, epoch }: Deployment, to = FAILED) => {
      const settlement = { to, text: `Ended: ${to}.`, patch: { finishedAt: NOW } as const }
      return database.transaction((manager) => settle(manager, { deploymentId: id, epoch }, settlement))
    },
    rows: <T>(sql: string, parameters: unknown[] = []) => database.query<T[]>(sql, parameters),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}
type Engine = Awaited<ReturnType<typeof openEngine>>

interface EventRow {
  deployment_id: string
  stage_id: string
  generation: string
  to_status: DeploymentStatus
}

const EVENTS = `SELECT e.deployment_id, d.stage_id, d.generation, e.to_status
  FROM deployment_event e JOIN deployment d ON d.id = e.deployment_id ORDER BY e.id`

/** Claims and ends deployments until the producer is done and nothing waits. */
async function work(engine: Engine, worker: string, isDone: () => boolean, claimed: string[]): Promise<void> {
  for (;;) {
    const last = isDone()
    const deployment = await engine.claim(worker)
    if (!deployment) {
      const [left] = await engine.rows<{ n: string }>(
        `SELECT count(*) AS n FROM deployment WHERE status = 'PENDING'`,
      )
      if (last && left?.n === '0') return
      continue
    }
    assert.equal(deployment.leaseOwner, worker)
    claimed.push(deployment.id)
    const crowded = await engine.rows(
      `SELECT stage_id FROM deployment WHERE status IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING')
        GROUP BY stage_id HAVING count(*) > 1`,
    )
    assert.deepEqual(crowded, [])
    const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
    if (randomInt(2) === 0) await transition(engine.database, claim, { to: BUILDING })
    await engine.end(deployment)
  }
}

describe('claims under contention', () => {
  test('a claim moves the deployment to CLONING under a new epoch, with a lease and an event', async () => {
    await using engine = await openEngine()
    await engine.createApp('one')
    const claimed = await engine.claim('worker-7')
    assert.ok(claimed)
    assert.equal(claimed.status, CLONING)
    assert.equal(claimed.epoch, 1)
    assert.equal(claimed.attempt, 1)
    assert.equal(claimed.leaseOwner, 'worker-7')
    const leftMs = (claimed.leaseUntil?.getTime() ?? 0) - Date.now()
    assert.ok(leftMs > 50_000 && leftMs <= 61_000, `${leftMs} ms of the lease are left`)
    const events = await engine.rows(
      'SELECT from_status, to_status, epoch FROM deployment_event ORDER BY id',
      [],
    )
    assert.deepEqual(events, [
      { from_status: null, to_status: 'PENDING', epoch: 0 },
      { from_status: 'PENDING', to_status: 'CLONING', epoch: 1 },
    ])
    assert.deepEqual(await engine.rows('SELECT epoch, end_status FROM log_stream'), [
      { epoch: 1, end_status: null },
    ])
  })

  test('the app that was claimed least recently goes first', async () => {
    await using engine = await openEngine()
    const order: string[] = []
    for (const name of ['one', 'two', 'three']) await engine.createApp(name)
    for (let turn = 0; turn < 3; turn++) {
      const claimed = await engine.claim()
      assert.ok(claimed)
      order.push(claimed.appId)
      await engine.end(claimed)
    }
    assert.equal(new Set(order).size, 3)
    for (const id of [...order].reverse())
      for (let n = 0; n < 3; n++) await engine.commands.deployments.deploy(id, {})
    const newcomer = await engine.createApp('newcomer')
    const again: (string | undefined)[] = []
    for (let turn = 0; turn < 4; turn++) again.push((await engine.claim())?.appId)
    assert.deepEqual(again, [newcomer.id, ...order])
  })

  test('nothing of a deleted app is claimed', async () => {
    await using engine = await openEngine()
    const app = await engine.createApp('deleted')
    await engine.rows('UPDATE app SET deleted_at = now() WHERE id = $1', [app.id])
    assert.equal(await engine.claim(), null)
  })

  test('8 concurrent workers and a producer: each is claimed at most once, never two of a stage at a time', async () => {
    await using engine = await openEngine()
    const apps = await Promise.all(Array.from({ length: 10 }, (_, n) => engine.createApp(`app-${n}`)))
    let produced = false
    const claimed: string[] = []
    const workers = Array.from({ length: 8 }, (_, n) =>
      work(engine, `worker-${n}`, () => produced, claimed).catch((error: unknown) => ({ error })),
    )
    for (let round = 0; round < 15; round++) {
      await Promise.all(apps.map(({ id }) => engine.commands.deployments.deploy(id, {})))
    }
    produced = true
    const failures = (await Promise.all(workers)).filter((result) => result)
    assert.deepEqual(failures, [])

    assert.equal(new Set(claimed).size, claimed.length, 'one was claimed twice')
    const events = await engine.rows<EventRow>(EVENTS)
    const claims = events.filter((event) => event.to_status === CLONING)
    assert.deepEqual(claims.map((event) => event.deployment_id).sort(), [...claimed].sort())
    const inFlight = new Map<string, string>()
    const newest = new Map<string, number>()
    for (const event of events) {
      if (event.to_status === CLONING) {
        assert.equal(inFlight.get(event.stage_id), undefined, 'two of a stage were in flight')
        assert.ok(Number(event.generation) > (newest.get(event.stage_id) ?? 0), 'an older one came later')
        inFlight.set(event.stage_id, event.deployment_id)
        newest.set(event.stage_id, Number(event.generation))
      } else if (event.to_status === FAILED) inFlight.delete(event.stage_id)
    }
    const ends = await engine.rows<{ status: DeploymentStatus; n: number }>(
      'SELECT status, count(*)::int AS n FROM deployment GROUP BY status ORDER BY status',
    )
    const superseded = 160 - claimed.length
    assert.deepEqual(
      ends,
      [
        { status: FAILED, n: claimed.length },
        { status: SUPERSEDED, n: superseded },
      ].filter(({ n }) => n > 0),
    )
    const last = await engine.rows('SELECT max(generation) AS generation FROM deployment GROUP BY stage_id')
    assert.deepEqual(
      last.map((row) => Number((row as { generation: string }).generation)).sort((a, b) => a - b),
      [...newest.values()].sort((a, b) => a - b),
    )
  })
})
