import type { DataSource, EntityManager } from 'typeorm'
import { DeploymentStatus, LogStream } from '../../entities/deployment-status.js'
import { appendChunks } from '../logs/store.js'
import { type Claim, NEXT_STATUSES, NOW, recordEvent, settle, type StatusPatch } from './states.js'
import type { Wakeups } from '../wakeups/wakeups.js'
import { IN_FLIGHT } from '../sql/predicates.js'

/** A deployment whose worker dies this often is not tried again. */
export const MAX_ATTEMPTS = 3

interface ExpiredRow {
  id: string
  epoch: number
  status: DeploymentStatus
  attempt: number
  cancel_requested_at: Date | null
  superseded_by: string | null
}

const EXPIRED = `status IN ${IN_FLIGHT} AND lease_until < now()`

/**
 * Gives back, or after {@link MAX_ATTEMPTS} fails, what dead workers hold, and says how many. Only the database's clock
 * decides. Each in a transaction of its own: one that cannot be rescued does not keep the others.
 *
 * @throws the first error, when all others have been rescued
 */
export async function rescueExpired(database: DataSource, wakeups: Wakeups): Promise<number> {
  const expired = await database.query<{ id: string }[]>(
    `SELECT id FROM deployment WHERE ${EXPIRED} ORDER BY id`,
  )
  const errors: unknown[] = []
  let rescued = 0
  for (const { id } of expired) {
    try {
      if (!(await database.transaction((manager) => rescueOne(manager, id)))) continue
      rescued += 1
      wakeups.deploymentSettled(id)
    } catch (error) {
      errors.push(error)
    }
  }
  if (rescued > 0) wakeups.queueChanged()
  if (errors.length > 0) throw errors[0]
  return rescued
}

async function rescueOne(manager: EntityManager, id: string): Promise<boolean> {
  const rows = await manager.query<ExpiredRow[]>(
    `SELECT id, epoch, status, attempt, cancel_requested_at, superseded_by FROM deployment
      WHERE id = $1 AND ${EXPIRED} FOR NO KEY UPDATE SKIP LOCKED`,
    [id],
  )
  for (const row of rows) await rescue(manager, row)
  return rows.length > 0
}

async function rescue(manager: EntityManager, row: ExpiredRow): Promise<void> {
  const claim = { deploymentId: row.id, epoch: row.epoch + 1 }
  // First the epoch, so that the worker that is perhaps still there cannot write any more.
  await manager.query('UPDATE deployment SET epoch = $2 WHERE id = $1', [row.id, claim.epoch])
  await manager.query('UPDATE log_stream SET epoch = $2 WHERE deployment_id = $1', [row.id, claim.epoch])
  if (row.cancel_requested_at) {
    await settle(manager, claim, { to: DeploymentStatus.CANCELLED, text: 'Cancelled.', patch: FINISHED })
  } else if (row.superseded_by && NEXT_STATUSES[row.status].includes(DeploymentStatus.SUPERSEDED)) {
    // Past STARTING it is too late to make way: it goes back, and the newer one supersedes it at its claim.
    const text = supersededBy(row.superseded_by)
    await settle(manager, claim, { to: DeploymentStatus.SUPERSEDED, text, patch: FINISHED })
  } else if (row.attempt >= MAX_ATTEMPTS) await failCrashLoop(manager, claim, row)
  else await giveBack(manager, claim, { from: row.status, reason: 'the worker that held it stopped' })
}

const FINISHED = { finishedAt: NOW, addresses: null }

/** How the end of a deployment that a newer one replaced is said. */
export function supersededBy(newerId: string): string {
  return `Superseded by the newer deployment ${newerId}.`
}

async function failCrashLoop(manager: EntityManager, claim: Claim, row: ExpiredRow): Promise<void> {
  const message = `The worker stopped ${row.attempt} times during this deployment; see the server's log, then deploy again.`
  const error: StatusPatch = { errorCode: 'ENGINE_CRASH_LOOP', errorPhase: row.status, errorMessage: message }
  const patch = { ...FINISHED, ...error }
  await settle(manager, claim, { to: DeploymentStatus.FAILED, text: `Failed: ${message}`, patch })
}

interface GivenBack {
  readonly from: DeploymentStatus
  readonly reason: string
  /** Until it may be claimed again. */
  readonly delayMs?: number
  /** False: nothing was wrong with it. */
  readonly countsAsAttempt?: boolean
}

/** Puts a claimed deployment back into the queue, in the caller's transaction. Its epoch must be the row's. */
export async function giveBack(
  manager: EntityManager,
  claim: Claim,
  { from, reason, delayMs = 0, countsAsAttempt = true }: GivenBack,
): Promise<void> {
  const result = await manager.query<[unknown[], number]>(
    `UPDATE deployment SET status = 'PENDING', epoch = epoch + 1, lease_owner = NULL, lease_until = NULL,
            addresses = NULL, attempt = attempt - $3, next_run_at = now() + make_interval(secs => $4)
      WHERE id = $1 AND epoch = $2 AND status IN ${IN_FLIGHT} RETURNING id`,
    [claim.deploymentId, claim.epoch, countsAsAttempt ? 0 : 1, delayMs / 1000],
  )
  if (result[1] === 0) return
  const next = { ...claim, epoch: claim.epoch + 1 }
  const stream = 'UPDATE log_stream SET epoch = $2 WHERE deployment_id = $1'
  await manager.query(stream, [next.deploymentId, next.epoch])
  await recordEvent(manager, next, { from, to: DeploymentStatus.PENDING, reason })
  const text = `Back in the queue: ${reason}.\n`
  const chunk = { at: new Date(), phase: DeploymentStatus.PENDING, stream: LogStream.SYSTEM, text }
  await appendChunks(manager, [chunk], { ...next, expectedSeq: null })
}
