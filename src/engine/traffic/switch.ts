import { DeploymentStatus } from '../../entities/deployment-status.js'
import type { Deployment } from '../../entities/deployment.js'
import { CancelledError, LostClaimError } from '../errors.js'
import type { OverflowTail } from '../logs/store.js'
import {
  announceHeld,
  appendOverflowTail,
  type Claim,
  leaseMarginSeconds,
  NOW,
  recordEvent,
  type StatusPatch,
  transitionUnannounced,
} from '../queue/states.js'
import type { Services } from '../services.js'
import { lockStageRow } from '../sql/locks.js'
import type { Queryable } from '../sql/queryable.js'

// Every change of what a stage's traffic goes to. Each is for one transaction, holds the stage's row until that ends, and
// raises the stage's routing epoch; what it changes is announced when the routers have followed (announce.ts).

/** Settings that say how traffic moves. */
type Timing = Pick<Services['settings'], 'leaseMs' | 'drainMs' | 'watchMs' | 'confirmMs'>

/** What served before, to be retired. */
export interface Replaced {
  readonly deploymentId: string
}

/** A claimed deployment whose containers answer. */
export interface NextVersion {
  readonly claim: Claim
  readonly stageId: string
  readonly url: string
  readonly overflowTail: OverflowTail
}

/**
 * To a deployment that is ROUTING: it becomes RUNNING, and what serves becomes RETIRED.
 *
 * @throws LostClaimError when the claim is lost or is about to end
 * @throws CancelledError when it is to be cancelled, or its app was deleted
 */
export async function switchToNext(
  manager: Queryable,
  { claim, stageId, url, overflowTail }: NextVersion,
  timing: Timing,
): Promise<Replaced | null> {
  const id = claim.deploymentId
  await lockStageRow(manager, stageId)
  await assertClaim(manager, claim, timing.leaseMs)
  const old = await retireServing(manager, stageId, { reason: `replaced by ${id}`, drainMs: timing.drainMs })
  await pointStageTo(manager, { stageId, id }, timing.confirmMs)
  await appendOverflowTail(manager, claim, overflowTail)
  const patch = { liveAt: NOW, replacedId: old?.deploymentId ?? null }
  const message = `Running at ${url}`
  await transitionUnannounced(manager, claim, { to: DeploymentStatus.RUNNING, message, patch })
  await watchFromNow(manager, id, timing.watchMs)
  return old
}

/** A version that fails while it is watched, and the one before it, which runs again at `addresses`. */
export interface Fallback {
  readonly failed: Deployment
  readonly error: ServingError
  readonly before: Deployment
  readonly addresses: readonly string[]
}

/**
 * Back to the version before: what fails is ROLLED_BACK with its error, the other RUNNING.
 *
 * @returns false where it is not so any more: something newer, a stop or another worker was first
 */
export async function switchBack(
  manager: Queryable,
  { failed, error, before, addresses }: Fallback,
  timing: Pick<Timing, 'drainMs' | 'confirmMs'>,
): Promise<boolean> {
  await lockStageRow(manager, failed.stageId)
  const rows = await manager.query<unknown[]>(
    `SELECT 1 FROM deployment d JOIN stage s ON s.id = d.stage_id JOIN deployment b ON b.id = $2
      WHERE d.id = $1 AND d.status = 'RUNNING' AND d.watch_until IS NOT NULL AND NOT s.stopped
        AND s.current_deployment_id = d.id AND b.status = 'RETIRED' AND (b.addresses IS NULL) = $3
        FOR NO KEY UPDATE OF d, b`,
    [failed.id, before.id, before.addresses === null],
  )
  if (rows.length === 0) return false
  const { ROLLED_BACK, RUNNING } = DeploymentStatus
  const gone = { finishedAt: NOW, watchUntil: null, addresses: null, ...error }
  const failure = { to: ROLLED_BACK, message: error.errorMessage, patch: gone }
  await transitionUnannounced(manager, claimOf(failed), failure)
  // By the database's clock, as everything that other processes go by.
  await manager.query('UPDATE deployment SET drain_until = now() + make_interval(secs => $2) WHERE id = $1', [
    failed.id,
    timing.drainMs / 1000,
  ])
  const back = { addresses: [...addresses], finishedAt: null, drainUntil: null, liveAt: NOW }
  const message = `${failed.id} failed; serving again`
  await transitionUnannounced(manager, claimOf(before), { to: RUNNING, message, patch: back })
  await pointStageTo(manager, before, timing.confirmMs)
  return true
}

/** What is stored of a version that fails while it serves. */
export type ServingError = StatusPatch & { readonly errorMessage: string }

/**
 * Away from a version that fails while it is watched and that none has served before: it is FAILED with `error`.
 *
 * @returns false where it is not so any more
 */
export async function switchOff(
  manager: Queryable,
  failed: Deployment,
  error: ServingError,
): Promise<boolean> {
  const { id, stageId } = failed
  await lockStageRow(manager, stageId)
  const rows = await manager.query<unknown[]>(
    `SELECT 1 FROM deployment d JOIN stage s ON s.id = d.stage_id
      WHERE d.id = $1 AND d.status = 'RUNNING' AND d.watch_until IS NOT NULL AND d.replaced_id IS NULL
        AND NOT s.stopped AND s.current_deployment_id = d.id FOR NO KEY UPDATE OF d`,
    [id],
  )
  if (rows.length === 0) return false
  const gone = { finishedAt: NOW, watchUntil: null, addresses: null, ...error }
  const message = `Failed: ${error.errorMessage}`
  const failure = { to: DeploymentStatus.FAILED, message, patch: gone }
  await transitionUnannounced(manager, claimOf(failed), failure)
  // At once, and before RUNNING where that was not said yet: nobody has to be sent to it.
  await announceHeld(manager, stageId)
  await manager.query('UPDATE stage SET route_epoch = route_epoch + 1 WHERE id = $1', [stageId])
  return true
}

/**
 * To the RETIRED deployment of a stage that was stopped and is started: it becomes RUNNING, and is watched as a first version
 * is, because what it once replaced is not what it gives way to. The caller holds the stage's row.
 */
export async function switchOn(manager: Queryable, stopped: Deployment, timing: Timing): Promise<void> {
  const patch = { finishedAt: null, drainUntil: null, liveAt: NOW, replacedId: null }
  const start = { to: DeploymentStatus.RUNNING, message: 'the stage was started', patch }
  await transitionUnannounced(manager, claimOf(stopped), start)
  await pointStageTo(manager, stopped, timing.confirmMs)
  await watchFromNow(manager, stopped.id, timing.watchMs)
}

/** Stops the stage: its traffic goes nowhere, and what serves becomes RETIRED. The caller holds the stage's row. */
export async function switchToNothing(
  manager: Queryable,
  stageId: string,
  { drainMs }: Pick<Timing, 'drainMs'>,
): Promise<Replaced | null> {
  const retired = await retireServing(manager, stageId, { reason: 'the stage was stopped', drainMs })
  const sql = 'UPDATE stage SET stopped = true, route_epoch = route_epoch + 1 WHERE id = $1'
  await manager.query(sql, [stageId])
  return retired
}

async function assertClaim(manager: Queryable, claim: Claim, leaseMs: number): Promise<void> {
  const [row] = await manager.query<{ cancelled: boolean; deleted: boolean }[]>(
    `SELECT d.cancel_requested_at IS NOT NULL AS cancelled, a.deleted_at IS NOT NULL AS deleted
       FROM deployment d JOIN app a ON a.id = d.app_id
      WHERE d.id = $1 AND d.epoch = $2 AND d.status = 'ROUTING'
        AND d.lease_until > now() + make_interval(secs => $3) FOR NO KEY UPDATE OF d`,
    [claim.deploymentId, claim.epoch, leaseMarginSeconds(leaseMs)],
  )
  if (!row) throw new LostClaimError(claim.deploymentId)
  if (row.cancelled || row.deleted) throw new CancelledError('cancelled')
}

/** By the database's clock, as everything that other processes go by. */
async function watchFromNow(manager: Queryable, deploymentId: string, watchMs: number): Promise<void> {
  const sql = 'UPDATE deployment SET watch_until = now() + make_interval(secs => $2) WHERE id = $1'
  await manager.query(sql, [deploymentId, watchMs / 1000])
}

/** What changes with it is announced when the routers have followed, or have not within `confirmMs`. */
async function pointStageTo(
  manager: Queryable,
  { stageId, id }: Pick<Deployment, 'stageId' | 'id'>,
  confirmMs: number,
): Promise<void> {
  await manager.query(
    `UPDATE stage SET current_deployment_id = $2, route_epoch = route_epoch + 1, stopped = false,
            confirm_until = now() + make_interval(secs => $3) WHERE id = $1`,
    [stageId, id, confirmMs / 1000],
  )
}

/**
 * What serves the stage is RETIRED, and may go on with what is under way until its drain ends. What has not been
 * announced yet is announced before: it has served.
 */
async function retireServing(
  manager: Queryable,
  stageId: string,
  { reason, drainMs }: { reason: string; drainMs: number },
): Promise<Replaced | null> {
  await announceHeld(manager, stageId)
  const [rows] = await manager.query<[Pick<Deployment, 'id' | 'epoch'>[], number]>(
    `UPDATE deployment SET status = 'RETIRED', finished_at = now(), watch_until = NULL,
            drain_until = now() + make_interval(secs => $2)
      WHERE stage_id = $1 AND status = 'RUNNING' RETURNING id, epoch`,
    [stageId, drainMs / 1000],
  )
  const old = rows[0]
  if (!old) return null
  const { RUNNING, RETIRED } = DeploymentStatus
  await recordEvent(manager, claimOf(old), { from: RUNNING, to: RETIRED, reason })
  return { deploymentId: old.id }
}

/** A version that serves has no claim any more; its epoch fences all the same. */
function claimOf({ id, epoch }: Pick<Deployment, 'id' | 'epoch'>): Claim {
  return { deploymentId: id, epoch }
}
