import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { claimNext } from '../../src/engine/queue/claim.js'
import { rescueExpired } from '../../src/engine/queue/rescue.js'
import { LostClaimError } from '../../src/engine/errors.js'
import { appendChunks } from '../../src/engine/logs/store.js'
import { type Claim, settle, transition, transitionUnannounced } from '../../src/engine/queue/states.js'
import { DeploymentStatus, LogStream } from '../../src/entities/deployment-status.js'
import type { TestProcess } from '../support/engine.js'
import { useProcess } from '../support/use-process.js'

const { BUILDING, CLONING, FAILED, RUNNING } = DeploymentStatus

describe('a worker whose claim another one has by now', () => {
  let process: TestProcess
  useProcess((opened) => (process = opened))

  const claim = (workerId: string) =>
    claimNext(process.database, process.wakeups, { workerId, leaseMs: 30_000, totalConcurrency: null })

  /** The first worker's claim, which ran out; the second one holds the deployment, in the same status. */
  async function overtaken(name: string): Promise<Claim> {
    await process.commands.apps.create({ name, repoUrl: 'https://git.invalid/x.git' })
    const first = await claim('first')
    assert.ok(first)
    await process.database.query(`UPDATE deployment SET lease_until = now() - interval '1 second'`)
    assert.equal(await rescueExpired(process.database, process.wakeups), 1)
    await process.database.query('UPDATE deployment SET next_run_at = now()')
    const second = await claim('second')
    assert.deepEqual([second?.id, second?.status], [first.id, CLONING])
    return { deploymentId: first.id, epoch: first.epoch }
  }

  /** All that is known of a deployment. */
  const everything = async ({ deploymentId }: Claim) =>
    process.database.query<unknown[]>(
      `SELECT to_jsonb(d) AS row, to_jsonb(l) AS log,
              (SELECT json_agg(e ORDER BY e.id) FROM deployment_event e WHERE e.deployment_id = d.id) AS events
         FROM deployment d JOIN log_stream l ON l.deployment_id = d.id WHERE d.id = $1`,
      [deploymentId],
    )

  const WRITES: Readonly<Record<string, (claim: Claim) => Promise<unknown>>> = {
    'changes its status': (stale) => transition(process.database, stale, { to: BUILDING }),
    'moves its traffic': (stale) =>
      process.database.transaction(async (manager) => {
        await manager.query(`UPDATE deployment SET status = 'ROUTING' WHERE id = $1`, [stale.deploymentId])
        await transitionUnannounced(manager, stale, { to: RUNNING, message: 'Running' })
      }),
    'settles it': (stale) =>
      process.database.transaction((manager) => settle(manager, stale, { to: FAILED, text: 'Failed.' })),
  }

  for (const [what, write] of Object.entries(WRITES)) {
    test(`${what}: nothing is written, and it learns that it lost`, async () => {
      const stale = await overtaken(what.replaceAll(' ', '-'))
      const before = await everything(stale)
      await assert.rejects(write(stale), LostClaimError)
      assert.deepEqual(await everything(stale), before)
    })
  }

  test('writes to its log: nothing is written, and it learns that it lost', async () => {
    const stale = await overtaken('log')
    const before = await everything(stale)
    const chunk = { at: new Date(), phase: CLONING, stream: LogStream.STDOUT, text: 'of the first\n' }
    assert.equal(await appendChunks(process.database, [chunk], { ...stale, expectedSeq: null }), null)
    assert.deepEqual(await everything(stale), before)
  })
})
