import { DeploymentStatus } from '../../entities/deployment-status.js'
import { CancelledError, LostClaimError } from '../errors.js'
import type { Queryable } from '../logs/store.js'
import type { LogRemainder } from '../logs/writer.js'
import { announceSettled } from '../queue.js'
import { recordEvent, settle } from '../states.js'
import { step, type Tools, type Work } from './context.js'
import type { Started } from './start.js'

/** What served before, to be retired. */
export interface Replaced {
  readonly deploymentId: string
}

/**
 * Moves the stage's traffic to the started containers, in one transaction: the deployment becomes RUNNING, the one
 * before it RETIRED, and the routing epoch rises. From the commit on this deployment serves, whatever dies.
 *
 * @returns the deployment that served before, or null
 * @throws LostClaimError when the claim is lost or ends within a second: nothing was changed
 * @throws CancelledError when it was to be cancelled before the commit
 */
export async function route(
  work: Work,
  started: Started,
  tools: Tools,
  url: string,
): Promise<Replaced | null> {
  await step(tools, 'keep-running', () =>
    Promise.all(started.containers.map((name) => tools.docker.keepRunning(name))),
  )
  const remainder = await work.log.remainder()
  const replaced = await step(tools, 'switch', () =>
    tools.database.transaction((manager) => switchTraffic(manager, work, remainder, tools, url)),
  )
  announceSettled(tools.wakeups, work.deployment.id)
  if (replaced) tools.wakeups.notify('deployment', replaced.deploymentId)
  tools.wakeups.notify('route', work.stage.id)
  // Committed: from here on nothing may fail the deployment. A router that cannot read now polls.
  await tools.applyRoutes().catch(() => undefined)
  return replaced
}

async function switchTraffic(
  manager: Queryable,
  work: Work,
  remainder: LogRemainder,
  tools: Tools,
  url: string,
): Promise<Replaced | null> {
  const { claim, deployment, stage } = work
  await manager.query('SELECT id FROM stage WHERE id = $1 FOR UPDATE', [stage.id])
  await mustHold(manager, work)
  const old = await retireServing(manager, stage.id, deployment.id, tools.settings.drainMs)
  await manager.query(
    'UPDATE stage SET current_deployment_id = $2, route_epoch = route_epoch + 1, stopped = false WHERE id = $1',
    [stage.id, deployment.id],
  )
  const words = {
    text: `Running at ${url}`,
    before: remainder.chunks,
    omittedBytes: remainder.omittedBytes,
    expectedSeq: remainder.expectedSeq,
  }
  await settle(manager, claim, DeploymentStatus.RUNNING, words, { live_at: new Date() })
  return old
}

async function mustHold(manager: Queryable, { claim }: Work): Promise<void> {
  const [row] = await manager.query<{ cancelled: boolean; deleted: boolean }[]>(
    `SELECT d.cancel_requested_at IS NOT NULL AS cancelled, a.deleted_at IS NOT NULL AS deleted
       FROM deployment d JOIN app a ON a.id = d.app_id
      WHERE d.id = $1 AND d.epoch = $2 AND d.status = 'ROUTING'
        AND d.lease_until > now() + interval '1 second' FOR UPDATE OF d`,
    [claim.deploymentId, claim.epoch],
  )
  if (!row) throw new LostClaimError(claim.deploymentId)
  if (row.cancelled || row.deleted) throw new CancelledError('cancelled')
}

/** What serves the stage is RETIRED, and may go on with what is under way until its drain ends. */
export async function retireServing(
  manager: Queryable,
  stageId: string,
  successorId: string | null,
  drainMs: number,
): Promise<Replaced | null> {
  const [rows] = await manager.query<[{ id: string; epoch: number }[], number]>(
    `UPDATE deployment SET status = 'RETIRED', finished_at = now(), drain_until = now() + make_interval(secs => $2)
      WHERE stage_id = $1 AND status = 'RUNNING' RETURNING id, epoch`,
    [stageId, drainMs / 1000],
  )
  const old = rows[0]
  if (!old) return null
  const claim = { deploymentId: old.id, epoch: old.epoch }
  const reason = successorId === null ? 'the stage was stopped' : `replaced by ${successorId}`
  await recordEvent(manager, claim, DeploymentStatus.RUNNING, DeploymentStatus.RETIRED, reason)
  return { deploymentId: old.id }
}
