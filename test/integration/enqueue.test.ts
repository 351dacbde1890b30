import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Deployment } from '../../src/entities/deployment.js'
import { enqueue, rebuildLost } from '../../src/engine/queue/enqueue.js'
import { CommandError } from '../../src/engine/command-error.js'
import { DeploymentTrigger } from '../../src/entities/deployment-status.js'
import type { TestProcess } from '../support/engine.js'
import { useProcess } from '../support/use-process.js'
import { until } from '../support/server.js'

const REPO = 'https://git.invalid/x.git'

describe('a deployment is asked for', () => {
  let process: TestProcess
  useProcess((opened) => (process = opened))

  const createApp = (name: string, deploy = true) =>
    process.commands.apps.create({ name, repoUrl: REPO, deploy })
  const waiting = async () =>
    (await process.database.query<unknown[]>(`SELECT 1 FROM deployment WHERE status = 'PENDING'`)).length

  test('once, however often, with the same idempotencyKey', async () => {
    const { id } = await createApp('idempotent', false)
    const calls = Array.from({ length: 10 }, () =>
      process.commands.deployments.deploy(id, { idempotencyKey: 'same' }),
    )
    const ids = new Set((await Promise.all(calls)).map((deployment) => deployment.id))
    assert.equal(ids.size, 1)
    assert.notEqual(
      (await process.commands.deployments.deploy(id, { idempotencyKey: 'other' })).id,
      [...ids][0],
    )
  })

  test('once with the same idempotencyKey, also where another stage is asked at the same time', async () => {
    const { id } = await createApp('raced', false)
    const next = await process.commands.stages.create(id, 'next', null)
    let second: Promise<Deployment> | null = null
    const first = await process.database.transaction(async (manager) => {
      const trigger = DeploymentTrigger.MANUAL
      const queued = await enqueue(manager, next, { trigger, actor: null, idempotencyKey: 'raced' })
      second = process.commands.deployments.deploy(id, { idempotencyKey: 'raced' })
      const sql = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`
      await until(async () => (await process.database.query<unknown[]>(sql)).length > 0)
      return queued
    })
    assert.equal((await (second as Promise<Deployment> | null))?.id, first.id)
    assert.equal(await waiting(), 1)
  })

  test('with a name that one of several gets who want it at the same time', async () => {
    const calls = await Promise.allSettled(Array.from({ length: 10 }, () => createApp('wanted')))
    const refused = calls.filter((call) => call.status === 'rejected')
    assert.equal(refused.length, 9)
    for (const { reason } of refused) assert.ok(codeIs('CONFLICT')(reason))
    assert.equal(await waiting(), 1)
  })

  /** One that serves and has lost its image. */
  async function lost(name: string): Promise<{ appId: string; build: () => Promise<string | undefined> }> {
    const { id: appId } = await createApp(name)
    const runs = `UPDATE deployment SET status = 'RUNNING', live_at = now(), commit_sha = 'c0ffee' WHERE app_id = $1`
    await process.database.query(runs, [appId])
    const deployment = await process.database.getRepository(Deployment).findOneByOrFail({ appId })
    const current = 'UPDATE stage SET current_deployment_id = $2 WHERE id = $1'
    await process.database.query(current, [deployment.stageId, deployment.id])
    return {
      appId,
      build: async () => (await rebuildLost(process.database, process.wakeups, deployment))?.id,
    }
  }

  test('by the reconciler for a lost image, but not beside a newer one, nor for what is not to serve', async () => {
    const { appId, build } = await lost('lost')
    const stopped = (is: boolean) => process.database.query('UPDATE stage SET stopped = $1', [is])
    const pushed = await process.commands.deployments.deploy(appId, {})
    for (const status of ['PENDING', 'BUILDING']) {
      await process.database.query('UPDATE deployment SET status = $2 WHERE id = $1', [pushed.id, status])
      assert.equal(await build(), undefined, status)
    }
    await process.database.query('DELETE FROM deployment WHERE id = $1', [pushed.id])
    await stopped(true)
    assert.equal(await build(), undefined, 'stopped')
    await stopped(false)
    assert.ok(await build())
    await process.database.query('DELETE FROM deployment WHERE status = $1', ['PENDING'])
    await process.database.query('UPDATE stage SET current_deployment_id = NULL')
    assert.equal(await build(), undefined, 'replaced')
  })

  test('by the reconciler again when that build has failed, after 5 minutes and then after 10', async () => {
    const { build } = await lost('failing')
    const fails = (id: string | undefined, minutes: number) =>
      process.database.query(
        `UPDATE deployment SET status = 'FAILED', finished_at = now() - make_interval(mins => $2) WHERE id = $1`,
        [id, minutes],
      )
    const first = await build()
    assert.ok(first)
    await fails(first, 4)
    assert.equal(await build(), undefined)
    await fails(first, 5)
    const second = await build()
    assert.ok(second)
    await fails(first, 20)
    await fails(second, 9)
    assert.equal(await build(), undefined)
    await fails(second, 10)
    assert.ok(await build())
  })

  test('in vain for a stage with 25 waiting', async () => {
    const { id } = await createApp('full', false)
    for (let count = 0; count < 25; count++) await process.commands.deployments.deploy(id, {})
    await assert.rejects(process.commands.deployments.deploy(id, {}), codeIs('QUEUE_FULL'))
    assert.equal(await waiting(), 25)
  })
})

function codeIs(code: string) {
  return (error: unknown) => error instanceof CommandError && error.code === code
}
