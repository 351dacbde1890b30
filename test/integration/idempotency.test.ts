import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import { CommandError } from '../../src/engine/command-error.js'
import type { TestProcess } from '../support/engine.js'
import { useProcess } from '../support/use-process.js'

const REPO = 'https://git.invalid/x.git'

describe('a second call with the same idempotency key', () => {
  let process: TestProcess
  useProcess((opened) => (process = opened))
  const key = { idempotencyKey: 'once' }

  /** An app whose production stage serves; the version before it was kept. */
  async function serving(name: string) {
    const { commands, database } = process
    const app = await commands.apps.create({ name, repoUrl: REPO })
    const staging = await commands.stages.create(app.id, 'staging', null)
    const current = await commands.deployments.deploy(app.id, {})
    const [first] = await database.query<{ id: string; stage_id: string }[]>(
      `SELECT id, stage_id FROM deployment WHERE app_id = $1 AND trigger = 'CREATE'`,
      [app.id],
    )
    assert.ok(first)
    const set = `UPDATE deployment SET status = $2, image_id = $3, live_at = now(), finished_at = now() WHERE id = $1`
    await database.query(set, [first.id, DeploymentStatus.RETIRED, 'sha256:1'])
    await database.query(set, [current.id, DeploymentStatus.RUNNING, 'sha256:2'])
    await database.query('UPDATE stage SET current_deployment_id = $2 WHERE id = $1', [
      first.stage_id,
      current.id,
    ])
    return { app, staging, stageId: first.stage_id, first: first.id, current: current.id }
  }
  async function deploymentsOf(appId: string): Promise<number> {
    const sql = 'SELECT count(*)::int AS count FROM deployment WHERE app_id = $1'
    return (await process.database.query<{ count: number }[]>(sql, [appId]))[0]?.count ?? 0
  }

  test('creates no other app, and finds the first one whatever name it gives', async () => {
    const { apps } = process.commands
    const created = await apps.create({ name: 'shop', repoUrl: REPO, ...key })
    for (const name of ['shop', 'another'])
      assert.equal((await apps.create({ name, repoUrl: REPO, ...key })).id, created.id)
    assert.equal(await deploymentsOf(created.id), 1)
    await assert.rejects(apps.create({ name: 'shop', repoUrl: REPO, idempotencyKey: 'other' }), CommandError)
    const many = await Promise.all(
      Array.from({ length: 8 }, () => apps.create({ name: 'raced', repoUrl: REPO, idempotencyKey: 'race' })),
    )
    assert.equal(new Set(many.map(({ id }) => id)).size, 1)
  })

  test('rolls back, promotes and restarts once; what it repeats and who asked is kept', async () => {
    const { releases, stages } = process.commands
    const { app, stageId, first, current } = await serving('release')
    const back = await releases.rollback(app.id, key)
    assert.equal((await releases.rollback(app.id, key)).id, back.id)
    assert.deepEqual([back.sourceId, back.actor], [first, 'admin'])
    const promoted = await releases.promote(current, { stage: 'staging', idempotencyKey: 'two' })
    assert.equal(
      (await releases.promote(current, { stage: 'staging', idempotencyKey: 'two' })).id,
      promoted.id,
    )
    assert.deepEqual([promoted.sourceId, promoted.actor], [current, 'admin'])
    const before = await deploymentsOf(app.id)
    await stages.restart(stageId, 'three')
    await stages.restart(stageId, 'three')
    assert.equal(await deploymentsOf(app.id), before + 1)
  })

  test('is refused where the key is no key', async () => {
    const { app } = await serving('keyless')
    const long = { idempotencyKey: 'x'.repeat(201) }
    for (const call of [
      () => process.commands.releases.rollback(app.id, long),
      () => process.commands.apps.create({ name: 'a', repoUrl: REPO, ...long }),
      () => process.commands.deployments.deploy(app.id, { idempotencyKey: '' }),
    ]) {
      await assert.rejects(
        async () => call(),
        (error: CommandError) => error.field === 'idempotencyKey',
      )
    }
  })
})
