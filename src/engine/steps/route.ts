import { DeploymentStatus } from '../../entities/deployment-status.js'
import { LostClaimError } from '../errors.js'
import type { LogRemainder } from '../logs/writer.js'
import { announceSettled } from '../queue.js'
import { recordEvent, settle } from '../states.js'
import type { Tools, Work } from './context.js'
import type { Started } from './run.js'

/** What served before, to be retired. */
export interface Replaced {
  readonly deploymentId: string
  readonly container: string
}

/**
 * Moves the stage's traffic to the started container, in one transaction: the deployment becomes RUNNING, the one
 * before it RETIRED, and the routing epoch rises. From the commit on this deployment serves, whatever dies.
 *
 * @returns the deployment that served before, or null
 * @throws LostClaimError when the claim is lost or ends within 5 s: nothing was changed
 */
export async function route(
  work: Work,
  started: Started,
  tools: Tools,
  url: string,
): Promise<Replaced | null> {
  await tools.docker.keepRunning(started.container)
  const remainder = await work.log.remainder()
  const replaced = await tools.database.transaction((manager) => switchTraffic(manager, work, remainder, url))
  announceSettled(tools.wakeups, work.deployment.id)
  if (replaced) tools.wakeups.notify('deployment', replaced.deploymentId)
  tools.wakeups.notify('route', work.stage.id)
  // Committed: from here on nothing may fail the deployment. A router that cannot read now polls.
  await tools.applyRoutes().catch(() => undefined)
  return replaced
}

async function switchTraffic(
  manager: Parameters<typeof settle>[0],
  work: Work,
  remainder: LogRemainder,
  url: string,
): Promise<Replaced | null> {
  const { claim, deployment, stage } = work
  await manager.query('SELECT id FROM stage WHERE id = $1 FOR UPDATE', [stage.id])
  const held = await manager.query<unknown[]>(
    `SELECT d.id FROM deployment d JOIN app a ON a.id = d.app_id
      WHERE d.id = $1 AND d.epoch = $2 AND d.status = 'ROUTING' AND d.cancel_requested_at IS NULL
        AND d.lease_until > now() + interval '1 second' AND a.deleted_at IS NULL FOR UPDATE OF d`,
    [deployment.id, claim.epoch],
  )
  if (held.length === 0) throw new LostClaimError(deployment.id)
  const [rows] = await manager.query<[{ id: string; container: string; epoch: number }[], number]>(
    `UPDATE deployment SET status = 'RETIRED', finished_at = now() WHERE stage_id = $1 AND status = 'RUNNING'
     RETURNING id, container, epoch`,
    [stage.id],
  )
  const old = rows[0]
  if (old) {
    const oldClaim = { deploymentId: old.id, epoch: old.epoch }
    const { RUNNING, RETIRED } = DeploymentStatus
    await recordEvent(manager, oldClaim, RUNNING, RETIRED, `replaced by ${deployment.id}`)
  }
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
  return old ? { deploymentId: old.id, container: old.container } : null
}
