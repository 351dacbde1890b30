import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DeploymentChanges } from '../../src/engine/changes.js'
import { claimNext } from '../../src/engine/queue.js'
import { settle, transition } from '../../src/engine/states.js'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import type { Deployment } from '../../src/entities/deployment.js'
import { openProcesses, type TestProcess } from '../support/engine.js'

const { BUILDING, FAILED, STARTING } = DeploymentStatus

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

  async function runToFailure(): Promise<void> {
    const deployment = await claimNext(worker.database, worker.wakeups, {
      workerId: 'worker',
      leaseMs: 60_000,
      totalConcurrency: null,
    })
    assert.ok(deployment)
    const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
    await transition(worker.database, claim, BUILDING)
    await transition(worker.database, claim, STARTING)
    await worker.database.transaction((manager) => settle(manager, claim, FAILED, { text: 'Failed.' }))
    worker.wakeups.notify('deployment', deployment.id)
  }

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

  test('of one that has ended are its present state and completion', async () => {
    const app = await createApp()
    const { id } = await worker.commands.deployments.deploy(app.id, {})
    await worker.commands.deployments.cancel(id)
    assert.deepEqual(await statusesOf(await follow({ deploymentId: id })), ['CANCELLED'])
  })

  test('of an app are those of all its deployments, from now on and none before', async () => {
    const app = await createApp()
    const first = await worker.commands.deployments.deploy(app.id, {})
    await worker.commands.deployments.cancel(first.id)
    const changes = await follow({ appId: app.id })
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
