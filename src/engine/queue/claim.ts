import type { DataSource } from 'typeorm'
import { DeploymentStatus, LogStream } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { violatesUnique } from '../sql/errors.js'
import type { Queryable } from '../sql/queryable.js'
import { appendChunks } from '../logs/store.js'
import { recordEvent } from './states.js'
import type { Wakeups } from '../wakeups/wakeups.js'
import { IN_FLIGHT } from '../sql/predicates.js'

/** A stage has one deployment in flight. */
const ONE_IN_FLIGHT = 'deployment_one_in_flight'
/** Where a limit over all processes is set, claims are decided one after another under this lock. */
const CLAIM_LOCK = 7_305_516_993

const CLAIMABLE = `
  SELECT s.id FROM stage s JOIN app a ON a.id = s.app_id
   WHERE a.deleted_at IS NULL
     AND EXISTS (SELECT 1 FROM deployment p WHERE p.stage_id = s.id AND p.status = 'PENDING' AND p.next_run_at <= now())
     AND NOT EXISTS (SELECT 1 FROM deployment x WHERE x.stage_id = s.id
                      AND x.status IN ${IN_FLIGHT})`

/** Apps take turns, and so do the stages of one: what has waited longest. */
const CLAIM_ORDER = `ORDER BY a.last_claim_at, a.id,
  (SELECT min(p.generation) FROM deployment p WHERE p.stage_id = s.id AND p.status = 'PENDING')`

// One statement: the stage's row is the mutex, the newest pending deployment of the stage wins, older ones end as
// SUPERSEDED with their log and event. `NOT EXISTS (in flight)` alone was rejected: with skip locked, two workers
// still claimed the same stage 20 times in 1,000, which only the unique index deployment_one_in_flight refuses for
// certain. The app's row is locked too: a deletion comes wholly before or wholly after.
const CLAIM = `
  WITH place AS (
    ${CLAIMABLE} ${CLAIM_ORDER} LIMIT 1 FOR NO KEY UPDATE OF s, a SKIP LOCKED
  ), newest AS (
    SELECT d.id, d.app_id, d.stage_id, d.generation, d.epoch + 1 AS epoch, d.attempt + 1 AS attempt
      FROM deployment d JOIN place ON place.id = d.stage_id
     WHERE d.status = 'PENDING' AND d.next_run_at <= now()
     ORDER BY d.generation DESC LIMIT 1 FOR NO KEY UPDATE OF d SKIP LOCKED
  ), used AS (
    UPDATE app SET last_claim_at = clock_timestamp() FROM newest WHERE app.id = newest.app_id
  ), stream AS (
    UPDATE log_stream l SET epoch = newest.epoch FROM newest WHERE l.deployment_id = newest.id
  ), older AS (
    UPDATE deployment o SET status = 'SUPERSEDED', superseded_by = newest.id, finished_at = now()
      FROM newest
     WHERE o.stage_id = newest.stage_id AND o.status = 'PENDING' AND o.generation < newest.generation
    RETURNING o.id, o.epoch, format('Superseded by the newer deployment %s.', newest.id) AS words
  ), older_log AS (
    UPDATE log_stream l SET last_seq = last_seq + 1, bytes = bytes + octet_length(words) + 1, end_status = 'SUPERSEDED'
      FROM older WHERE l.deployment_id = older.id
    RETURNING l.deployment_id, l.log_day, l.last_seq, older.words
  ), older_chunk AS (
    INSERT INTO log_chunk (deployment_id, log_day, seq, at, phase, stream, text)
    SELECT deployment_id, log_day, last_seq, now(), 'SUPERSEDED', 'SYSTEM', words || E'\\n' FROM older_log
  ), event AS (
    INSERT INTO deployment_event (deployment_id, epoch, from_status, to_status, reason)
    SELECT id, epoch, 'PENDING', 'CLONING', CASE WHEN attempt > 1 THEN 'attempt ' || attempt END FROM newest
    UNION ALL SELECT id, epoch, 'PENDING', 'SUPERSEDED', words FROM older
  )
  UPDATE deployment d
     SET status = 'CLONING', epoch = newest.epoch, attempt = newest.attempt, lease_owner = $1, waiting_for = NULL,
         superseded_by = NULL,
         lease_until = now() + make_interval(secs => $2), started_at = coalesce(d.started_at, now())
    FROM newest WHERE d.id = newest.id
  RETURNING d.id, d.epoch, (SELECT coalesce(array_agg(id), '{}') FROM older) AS superseded`

interface ClaimedRow {
  id: string
  epoch: number
  superseded: string[]
}

export interface ClaimOptions {
  readonly workerId: string
  /** Renew the claim earlier than this, or another worker takes over and this one's writes fail. */
  readonly leaseMs: number
  /** Deployments in flight over all processes; null: no limit but that of each process. */
  readonly totalConcurrency: number | null
}

/**
 * Claims the newest pending deployment of the stage whose app has waited longest, or returns null when none may
 * start now. Older pending deployments of the stage end as SUPERSEDED in the same statement.
 */
export async function claimNext(
  database: DataSource,
  wakeups: Wakeups,
  options: ClaimOptions,
): Promise<Deployment | null> {
  const row = await claim(database, options)
  if (!row) return null
  for (const id of row.superseded) wakeups.deploymentSettled(id)
  wakeups.deploymentChanged(row.id)
  // By its epoch, too: whoever is slow to read it may find another worker's claim.
  return database.getRepository(Deployment).findOneBy({ id: row.id, epoch: row.epoch })
}

async function claim(database: DataSource, options: ClaimOptions): Promise<ClaimedRow | null> {
  const { workerId, leaseMs, totalConcurrency } = options
  for (;;) {
    try {
      if (totalConcurrency !== null) return await claimBelow(database, totalConcurrency, options)
      const [rows] = await database.query<[ClaimedRow[], number]>(CLAIM, [workerId, leaseMs / 1000])
      return rows[0] ?? null
    } catch (error) {
      // Another worker won between the snapshot and the write: the index said so. Ask again.
      if (!violatesUnique(error, ONE_IN_FLIGHT)) throw error
    }
  }
}

function claimBelow(database: DataSource, limit: number, options: ClaimOptions): Promise<ClaimedRow | null> {
  return database.transaction(async (manager) => {
    await manager.query('SELECT pg_advisory_xact_lock($1)', [CLAIM_LOCK])
    const [busy] = await manager.query<{ count: number }[]>(
      `SELECT count(*)::int AS count FROM deployment WHERE status IN ${IN_FLIGHT}`,
    )
    if ((busy?.count ?? 0) >= limit) return null
    const values = [options.workerId, options.leaseMs / 1000]
    const [rows] = await manager.query<[ClaimedRow[], number]>(CLAIM, values)
    return rows[0] ?? null
  })
}

/** Whether a deployment could start now. One cheap look, so that an idle engine neither locks rows nor asks Docker. */
export async function hasClaimable(database: Queryable): Promise<boolean> {
  return (await database.query<unknown[]>(`${CLAIMABLE} LIMIT 1`)).length > 0
}

/**
 * Says once, in the log of each waiting deployment, what it waits for. One that somebody is claiming or cancelling is
 * passed over: to wait for it while others are locked could be to wait for a claim that waits for those.
 *
 * @param known how a reason begins that says the same
 */
export async function logWaiting(
  { database, wakeups }: { readonly database: DataSource; readonly wakeups: Wakeups },
  reason: string,
  known = reason,
): Promise<void> {
  const ids = await database.transaction(async (manager) => {
    const [rows] = await manager.query<[{ id: string; epoch: number }[], number]>(
      `WITH waiting AS (
         SELECT id FROM deployment WHERE status = 'PENDING' AND NOT starts_with(coalesce(waiting_for, ''), $2)
          FOR NO KEY UPDATE SKIP LOCKED
       )
       UPDATE deployment d SET waiting_for = $1 FROM waiting WHERE d.id = waiting.id RETURNING d.id, d.epoch`,
      [reason, known],
    )
    for (const { id, epoch } of rows) {
      const claim = { deploymentId: id, epoch }
      await recordEvent(manager, claim, {
        from: DeploymentStatus.PENDING,
        to: DeploymentStatus.PENDING,
        reason,
      })
      const text = `Waiting: ${reason}\n`
      const chunk = { at: new Date(), phase: DeploymentStatus.PENDING, stream: LogStream.SYSTEM, text }
      await appendChunks(manager, [chunk], { ...claim, expectedSeq: null })
    }
    return rows.map((row) => row.id)
  })
  for (const id of ids) wakeups.deploymentSettled(id)
}
