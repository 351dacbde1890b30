import type { DataSource, EntityManager } from 'typeorm'
import { DeploymentStatus, LogSource } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'
import { appendChunks } from './logs/store.js'
import { recordEvent, settle } from './states.js'
import type { Wakeups } from './wakeups.js'

/** A deployment whose worker dies this often is not tried again. */
export const MAX_ATTEMPTS = 3
const UNIQUE_VIOLATION = '23505'

// One statement: the stage row is the mutex, the newest pending deployment of the stage wins, older ones end as
// superseded. `NOT EXISTS (in flight)` alone was rejected: with skip locked, two workers still claimed the same
// stage 20 times in 1,000, which only the unique index deployment_one_in_flight refuses for certain.
const CLAIM = `
  WITH place AS (
    SELECT s.id, s.app_id FROM stage s JOIN app a ON a.id = s.app_id
     WHERE a.deleted_at IS NULL
       AND EXISTS (SELECT 1 FROM deployment p WHERE p.stage_id = s.id AND p.status = 'PENDING' AND p.next_run_at <= now())
       AND NOT EXISTS (SELECT 1 FROM deployment x WHERE x.stage_id = s.id
                        AND x.status IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING'))
     ORDER BY a.last_claim_at, a.id LIMIT 1 FOR UPDATE OF s SKIP LOCKED
  ), newest AS (
    SELECT d.id, d.stage_id, d.generation FROM deployment d JOIN place ON place.id = d.stage_id
     WHERE d.status = 'PENDING' AND d.next_run_at <= now()
     ORDER BY d.generation DESC LIMIT 1 FOR UPDATE OF d SKIP LOCKED
  ), used AS (
    UPDATE app SET last_claim_at = clock_timestamp() FROM place, newest WHERE app.id = place.app_id
  ), stream AS (
    UPDATE log_stream l SET epoch = d.epoch + 1 FROM newest, deployment d
     WHERE l.deployment_id = newest.id AND d.id = newest.id
  )
  UPDATE deployment d
     SET status = 'CLONING', epoch = d.epoch + 1, attempt = d.attempt + 1, lease_owner = $1, waiting_for = NULL,
         lease_until = now() + make_interval(secs => $2), started_at = coalesce(d.started_at, now())
    FROM newest WHERE d.id = newest.id
  RETURNING d.id, d.epoch, d.stage_id, d.attempt, d.generation`

interface ClaimedRow {
  id: string
  epoch: number
  stage_id: string
  attempt: number
  generation: string
}

/**
 * Claims the newest pending deployment of the stage whose app has waited longest, or returns null when none waits.
 *
 * Atomic between workers. Older pending deployments of the stage end as SUPERSEDED in the same transaction. The
 * claim lasts `leaseMs`; renew it earlier or another worker takes over and this one's writes fail.
 */
export async function claimNext(
  database: DataSource,
  wakeups: Wakeups,
  workerId: string,
  leaseMs: number,
): Promise<Deployment | null> {
  try {
    const { claimed, superseded } = await database.transaction(async (manager) => {
      const [rows] = await manager.query<[ClaimedRow[], number]>(CLAIM, [workerId, leaseMs / 1000])
      const row = rows[0]
      if (!row) return { claimed: null, superseded: [] }
      const reason = row.attempt > 1 ? `attempt ${row.attempt}` : null
      await recordEvent(
        manager,
        { deploymentId: row.id, epoch: row.epoch },
        DeploymentStatus.PENDING,
        DeploymentStatus.CLONING,
        reason,
      )
      const superseded = await supersedeOlder(manager, row)
      return { claimed: await manager.findOneByOrFail(Deployment, { id: row.id }), superseded }
    })
    for (const id of superseded) announceSettled(wakeups, id)
    if (claimed) wakeups.notify('deployment', claimed.id)
    return claimed
  } catch (error) {
    // Another worker won between the snapshot and the write: the index said so. The loop asks again.
    if ((error as { code?: string }).code === UNIQUE_VIOLATION) return null
    throw error
  }
}

async function supersedeOlder(manager: EntityManager, newest: ClaimedRow): Promise<string[]> {
  const older = await manager.query<{ id: string; epoch: number }[]>(
    `SELECT id, epoch FROM deployment
      WHERE stage_id = $1 AND status = 'PENDING' AND generation < $2 ORDER BY id FOR UPDATE`,
    [newest.stage_id, newest.generation],
  )
  for (const { id, epoch } of older) {
    await settle(
      manager,
      { deploymentId: id, epoch },
      DeploymentStatus.SUPERSEDED,
      { text: `Superseded by the newer deployment ${newest.id}.` },
      { finished_at: new Date() },
    )
  }
  return older.map(({ id }) => id)
}

/** Wakes followers of a deployment's state and of its log, which has ended. */
export function announceSettled(wakeups: Wakeups, deploymentId: string): void {
  wakeups.notify('deployment', deploymentId)
  wakeups.notify('log', deploymentId)
}

/** Gives back, or after {@link MAX_ATTEMPTS} fails, what dead workers hold. Only the database's clock decides. */
export async function rescueExpired(database: DataSource, wakeups: Wakeups): Promise<number> {
  const rescued = await database.transaction(async (manager) => {
    const rows = await manager.query<
      {
        id: string
        epoch: number
        status: DeploymentStatus
        attempt: number
        cancel_requested_at: Date | null
      }[]
    >(
      `SELECT id, epoch, status, attempt, cancel_requested_at FROM deployment
        WHERE status IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING') AND lease_until < now()
        ORDER BY id FOR UPDATE SKIP LOCKED`,
    )
    for (const row of rows) await rescue(manager, row)
    return rows.map((row) => row.id)
  })
  for (const id of rescued) announceSettled(wakeups, id)
  if (rescued.length > 0) wakeups.notify('queue', '')
  return rescued.length
}

async function rescue(
  manager: EntityManager,
  row: {
    id: string
    epoch: number
    status: DeploymentStatus
    attempt: number
    cancel_requested_at: Date | null
  },
): Promise<void> {
  const claim = { deploymentId: row.id, epoch: row.epoch + 1 }
  // First the epoch, so that the worker that is perhaps still there cannot write any more.
  await manager.query('UPDATE deployment SET epoch = $2 WHERE id = $1', [row.id, claim.epoch])
  await manager.query('UPDATE log_stream SET epoch = $2 WHERE deployment_id = $1', [row.id, claim.epoch])
  const finished = { finished_at: new Date() }
  if (row.cancel_requested_at) {
    await settle(manager, claim, DeploymentStatus.CANCELLED, { text: 'Cancelled.' }, finished)
    return
  }
  if (row.attempt >= MAX_ATTEMPTS) {
    const message = `The worker stopped ${row.attempt} times in the middle of this deployment; see the server's own log, then deploy again.`
    await settle(
      manager,
      claim,
      DeploymentStatus.FAILED,
      { text: `Failed: ${message}` },
      {
        ...finished,
        error_code: 'ENGINE_CRASH_LOOP',
        error_phase: row.status,
        error_message: message,
      },
    )
    return
  }
  await giveBack(manager, claim, row.status, 'the worker that held it stopped')
}

/** Puts a claimed deployment back into the queue, in the caller's transaction. Its epoch must be the row's. */
export async function giveBack(
  manager: EntityManager,
  claim: { deploymentId: string; epoch: number },
  from: DeploymentStatus,
  reason: string,
  options: { delayMs?: number; countsAsAttempt?: boolean } = {},
): Promise<void> {
  const result = await manager.query<[unknown[], number]>(
    `UPDATE deployment SET status = 'PENDING', epoch = epoch + 1, lease_owner = NULL, lease_until = NULL,
            attempt = attempt - $3, next_run_at = now() + make_interval(secs => $4)
      WHERE id = $1 AND epoch = $2 AND status IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING') RETURNING id`,
    [
      claim.deploymentId,
      claim.epoch,
      options.countsAsAttempt === false ? 1 : 0,
      (options.delayMs ?? 0) / 1000,
    ],
  )
  if (result[1] === 0) return
  const epoch = claim.epoch + 1
  await manager.query('UPDATE log_stream SET epoch = $2 WHERE deployment_id = $1', [
    claim.deploymentId,
    epoch,
  ])
  await recordEvent(manager, { ...claim, epoch }, from, DeploymentStatus.PENDING, reason)
  const text = `Back in the queue: ${reason}.\n`
  const chunk = { at: new Date(), phase: DeploymentStatus.PENDING, stream: LogSource.SYSTEM, text }
  await appendChunks(manager, claim.deploymentId, [chunk], { epoch, expectedSeq: null })
}

/** Says once, in the log of each waiting deployment, what it waits for. */
export async function sayWaiting(database: DataSource, wakeups: Wakeups, reason: string): Promise<void> {
  const ids = await database.transaction(async (manager) => {
    const [rows] = await manager.query<[{ id: string; epoch: number }[], number]>(
      `UPDATE deployment SET waiting_for = $1 WHERE status = 'PENDING' AND waiting_for IS DISTINCT FROM $1
       RETURNING id, epoch`,
      [reason],
    )
    for (const { id, epoch } of rows) {
      const claim = { deploymentId: id, epoch }
      await recordEvent(manager, claim, DeploymentStatus.PENDING, DeploymentStatus.PENDING, reason)
      const text = `Waiting: ${reason}\n`
      const chunk = { at: new Date(), phase: DeploymentStatus.PENDING, stream: LogSource.SYSTEM, text }
      await appendChunks(manager, id, [chunk], { epoch, expectedSeq: null })
    }
    return rows.map((row) => row.id)
  })
  for (const id of ids) announceSettled(wakeups, id)
}
