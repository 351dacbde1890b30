import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDataSource } from '../../src/database.js'
import { DeploymentChanges } from '../../src/engine/changes.js'
import { enqueue } from '../../src/engine/queue/enqueue.js'
import { claimNext } from '../../src/engine/queue/claim.js'
import { NOW, settle, transition } from '../../src/engine/queue/states.js'
import { Wakeups } from '../../src/engine/wakeups/wakeups.js'
import { DeploymentStatus, DeploymentTrigger } from '../../src/entities/deployment-status.js'
import type { Deployment } from '../../src/entities/deployment.js'
import { createLogger } from '../../src/logger.js'
import { openProcesses, type TestProcess } from '../support/engine.js'

const { BUILDING, FAILED, RETIRED, ROLLED_BACK, ROUTING, RUNNING, STARTING } = DeploymentStatus

describe('the changes of deployments', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let worker: TestProcess
  let api: TestProcess
  let count = 0

  before(async () => {
    opened = await openProcesses(2)
    ;[worker, api] = opened.processes as [TestProcess, TestProcess]
  })
  after(() => opened[Symbol.asyncDispose]())

  const createApp = () =>
    worker.commands.apps.create({
      name: `changing-${count++}`,
      repoUrl: 'https://git.invalid/x.git',
      deploy: false,
    })
  const follow = (scope: { deploymentId: string } | { appId: string }) =>
    new DeploymentChanges(api.database, api.wakeups, scope).start()

  async function claimed() {
    const deployment = await claimNext(worker.database, worker.wakeups, {
      workerId: 'worker',
      leaseMs: 60_000,
      totalConcurrency: null,
    })
    assert.ok(deployment)
    return { deployment, claim: { deploymentId: deployment.id, epoch: deployment.epoch } }
  }

  async function runToFailure(): Promise<void> {
    const { deployment, claim } = await claimed()
    await transition(worker.database, claim, { to: BUILDING })
    await transition(worker.database, claim, { to: STARTING })
    await worker.database.transaction((manager) => settle(manager, claim, { to: FAILED, text: 'Failed.' }))
    worker.wakeups.deploymentChanged(deployment.id)
  }

  async function serve(appId: string) {
    await worker.commands.deployments.deploy(appId, {})
    const { deployment, claim } = await claimed()
    for (const status of [BUILDING, STARTING, ROUTING, RUNNING]) {
      await transition(worker.database, claim, { to: status })
    }
    const sql = 'UPDATE stage SET current_deployment_id = $2 WHERE id = $1'
    await worker.database.query(sql, [deployment.stageId, deployment.id])
    return { id: deployment.id, claim }
  }

  const nextOf = async (changes: DeploymentChanges) =>
    ((await changes.next()) as IteratorResult<Deployment, undefined>).value

  async function statusesOf(changes: AsyncIterable<Deployment>): Promise<string[]> {
    const statuses: string[] = []
    for await (const deployment of changes) statuses.push(deployment.status)
    return statuses
  }

  test('of one come all and in order, also when several were made before the next was asked for', async () => {
    const app = await createApp()
    const { id } = await worker.commands.deployments.deploy(app.id, {})
    const changes = await follow({ deploymentId: id })
    const { value } = (await changes.next()) as IteratorResult<Deployment, undefined>
    assert.equal(value?.status, 'PENDING')
    await runToFailure()
    assert.deepEqual(await statusesOf(changes), ['CLONING', 'BUILDING', 'STARTING', 'FAILED'])
  })

  test('show an earlier status without what only the end has', async () => {
    const app = await createApp()
    const { id } = await worker.commands.deployments.deploy(app.id, {})
    const changes = await follow({ deploymentId: id })
    await runToFailure()
    await worker.database.query(
      `UPDATE deployment SET error_code = 'EXITED', finished_at = now() WHERE id = $1`,
      [id],
    )
    for await (const deployment of changes) {
      assert.equal(deployment.errorCode, deployment.status === FAILED ? 'EXITED' : null)
      assert.equal(deployment.finishedAt !== null, deployment.status === FAILED)
    }
  })

  test('of one that is replaced end when its successor is not watched any more, and not before', async () => {
    const app = await createApp()
    const old = await serve(app.id)
    await transition(worker.database, old.claim, { to: RETIRED })
    const successor = await serve(app.id)
    const watched = 'UPDATE deployment SET replaced_id = $2, watch_until = now() WHERE id = $1'
    await worker.database.query(watched, [successor.id, old.id])
    const changes = await follow({ deploymentId: old.id })
    assert.equal((await nextOf(changes))?.status, RETIRED)
    // Its time is over, and still it may fail: nobody has ended the watch.
    const again = nextOf(changes)
    await worker.database.transaction(async (manager) => {
      await transition(manager, successor.claim, { to: ROLLED_BACK, patch: { errorCode: 'ROLLED_BACK' } })
      await transition(manager, old.claim, { to: RUNNING })
    })
    worker.wakeups.deploymentChanged(old.id)
    assert.equal((await again)?.status, RUNNING)
    await transition(worker.database, old.claim, { to: RETIRED })
    const third = await serve(app.id)
    await worker.database.query(watched, [third.id, old.id])
    worker.wakeups.deploymentChanged(old.id)
    assert.equal((await nextOf(changes))?.status, RETIRED)
    const last = nextOf(changes)
    await worker.database.query('UPDATE deployment SET watch_until = NULL WHERE id = $1', [third.id])
    worker.wakeups.deploymentChanged(old.id)
    assert.equal(await last, undefined)
  })

  test('show what was rolled back as it was while it served', async () => {
    const app = await createApp()
    const changes = await follow({ appId: app.id })
    const { claim } = await serve(app.id)
    const patch = { errorCode: 'ROLLED_BACK', finishedAt: NOW } as const
    await transition(worker.database, claim, { to: ROLLED_BACK, patch })
    for (let status = ''; status !== (ROLLED_BACK as string);) {
      const change = await nextOf(changes)
      status = change?.status ?? ''
      const ended = status === (ROLLED_BACK as string)
      assert.deepEqual([change?.errorCode !== null, change?.finishedAt !== null], [ended, ended], status)
    }
    await changes.return()
  })

  test('of one that was queued before and is committed after the start come as well', async () => {
    const app = await createApp()
    const stage = await worker.commands.stages.create(app.id, 'slow', null)
    let changes: DeploymentChanges | null = null
    const slow = await worker.database.transaction(async (manager) => {
      const queued = await enqueue(manager, stage, { trigger: DeploymentTrigger.MANUAL, actor: null })
      const early = await worker.commands.deployments.deploy(app.id, {})
      changes = await follow({ appId: app.id })
      assert.equal((await nextOf(changes))?.id, early.id)
      return queued
    })
    assert.ok(changes)
    assert.equal((await nextOf(changes))?.id, slow.id)
    await (changes as DeploymentChanges).return()
    await worker.database.query('DELETE FROM app WHERE id = $1', [app.id])
  })

  test('of an app with many are each shown once, and those that have ended are forgotten', async () => {
    const app = await createApp()
    const stageId = (await worker.commands.stages.create(app.id, 'many', null)).id
    const add = (from: number, to: number) =>
      worker.database.query(
        `WITH many AS (
           INSERT INTO deployment (id, app_id, stage_id, status, trigger)
           SELECT 'many' || n, $1, $2, 'CANCELLED', 'MANUAL' FROM generate_series($3::int, $4::int) n RETURNING id)
         INSERT INTO deployment_event (deployment_id, to_status) SELECT id, 'CANCELLED' FROM many`,
        [app.id, stageId, from, to],
      )
    await add(1, 150)
    const changes = await follow({ appId: app.id })
    const seen: (string | undefined)[] = []
    for (const from of [151, 301, 451]) {
      await add(from, from + 149)
      for (let n = 0; n < 150; n++) seen.push((await nextOf(changes))?.id)
      const waiting = nextOf(changes)
      const { id } = await worker.commands.deployments.deploy(app.id, {})
      assert.equal((await waiting)?.id, id)
      await worker.commands.deployments.cancel(id)
      assert.equal((await nextOf(changes))?.status, 'CANCELLED')
    }
    await changes.return()
    assert.equal(new Set(seen).size, 450)
  })

  test('that cannot be read at the start leave nothing that listens', async () => {
    const listening = new Set<unknown>()
    class Counted extends Wakeups {
      override on(...given: Parameters<Wakeups['on']>): () => void {
        const stop = super.on(...given)
        listening.add(stop)
        return () => {
          stop()
          listening.delete(stop)
        }
      }
    }
    const wakeups = new Counted('postgres://127.0.0.1:1/none', createLogger('error'))
    const closed = createDataSource('postgres://127.0.0.1:1/none')
    await assert.rejects(new DeploymentChanges(closed, wakeups, { appId: 'any' }).start())
    assert.equal(listening.size, 0)
  })

  test('of one that has ended are its present state and completion', async () => {
    const app = await createApp()
    const { id } = await worker.commands.deployments.deploy(app.id, {})
    await worker.commands.deployments.cancel(id)
    assert.deepEqual(await statusesOf(await follow({ deploymentId: id })), ['CANCELLED'])
  })

  test('of an app are those of all its deployments, after the state of those that can change', async () => {
    const app = await createApp()
    const first = await worker.commands.deployments.deploy(app.id, {})
    await worker.commands.deployments.cancel(first.id)
    const serving = await serve(app.id)
    await worker.commands.stages.create(app.id, 'beside', null)
    const waiting = await worker.commands.deployments.deploy(app.id, { stage: 'beside' })
    const changes = await follow({ appId: app.id })
    assert.deepEqual(
      [await nextOf(changes), await nextOf(changes)].map((one) => [one?.id, one?.status]),
      [
        [serving.id, 'RUNNING'],
        [waiting.id, 'PENDING'],
      ],
    )
    await worker.commands.deployments.cancel(waiting.id)
    assert.equal((await nextOf(changes))?.status, 'CANCELLED')
    const second = await worker.commands.deployments.deploy(app.id, {})
    await runToFailure()
    const third = await worker.commands.deployments.deploy(app.id, {})
    const seen: string[] = []
    for (let index = 0; index < 6; index++) {
      const { value } = (await changes.next()) as IteratorResult<Deployment, undefined>
      seen.push(`${value?.id} ${value?.status}`)
    }
    await changes.return()
    assert.deepEqual(seen, [
      ...['PENDING', 'CLONING', 'BUILDING', 'STARTING', 'FAILED'].map((status) => `${second.id} ${status}`),
      `${third.id} PENDING`,
    ])
    await worker.commands.deployments.cancel(third.id)
  })

  test('are given up at once, and complete when the app is deleted', async () => {
    const app = await createApp()
    const waiting = await follow({ appId: app.id })
    const next = waiting.next()
    await sleep(20)
    await waiting.return()
    assert.equal((await next).done, true)
    const changes = await follow({ appId: app.id })
    await worker.database.query('DELETE FROM app WHERE id = $1', [app.id])
    assert.deepEqual(await statusesOf(changes), [])
  })
})
