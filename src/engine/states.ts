import { DeploymentStatus, isSettled, LogSource } from '../entities/deployment-status.js'
import { LostClaimError } from './errors.js'
import { appendChunks, type LogChunkInput, type Queryable } from './logs/store.js'

/** A worker's right to change a deployment: void as soon as the row's epoch is another. */
export interface Claim {
  readonly deploymentId: string
  readonly epoch: number
}

/** A lease that ends sooner than this is as good as lost: what is begun under it may end under another's. */
export function leaseMarginSeconds(leaseMs: number): number {
  return Math.min(1_000, leaseMs / 3) / 1000
}

const { PENDING, CLONING, BUILDING, STARTING, ROUTING, RUNNING } = DeploymentStatus
const { RETIRED, FAILED, CANCELLED, SUPERSEDED, ROLLED_BACK } = DeploymentStatus

/** Which status may follow which; everything else is refused. Drawn in docs/states.md. */
export const NEXT_STATUSES: Readonly<Record<DeploymentStatus, readonly DeploymentStatus[]>> = {
  [PENDING]: [CLONING, CANCELLED, SUPERSEDED],
  [CLONING]: [BUILDING, STARTING, PENDING, FAILED, CANCELLED, SUPERSEDED],
  [BUILDING]: [STARTING, PENDING, FAILED, CANCELLED, SUPERSEDED],
  [STARTING]: [ROUTING, PENDING, FAILED, CANCELLED, SUPERSEDED],
  [ROUTING]: [RUNNING, PENDING, FAILED, CANCELLED],
  [RUNNING]: [RETIRED, ROLLED_BACK],
  [RETIRED]: [RUNNING],
  [FAILED]: [],
  [CANCELLED]: [],
  [SUPERSEDED]: [],
  [ROLLED_BACK]: [],
}

/**
 * SQL that says of a RETIRED deployment `d` that its successor is still watched: its containers are stopped and not
 * removed, so that traffic can come back to it. Until the watch has ended, not until its time is over: the last look may
 * come later, and what is not confirmed by then may still fail.
 */
export const KEPT_FOR_RETURN = `EXISTS (SELECT 1 FROM deployment next
  WHERE next.replaced_id = d.id AND next.status = 'RUNNING' AND next.watch_until IS NOT NULL)`

/** Columns that change together with the status, by their SQL names. A time is {@link NOW}. */
export type StatusPatch = Readonly<Record<string, unknown>>

/** In a patch: the present, by the database's clock. The workers' own may be hours apart. */
export const NOW = Symbol('now')

/**
 * Moves a claimed deployment to `to` and records it, in the caller's transaction.
 *
 * @throws LostClaimError when the claim is no longer the deployment's: nothing was changed.
 */
export async function transition(
  manager: Queryable,
  claim: Claim,
  to: DeploymentStatus,
  reason: string | null = null,
  patch: StatusPatch = {},
): Promise<void> {
  const from = Object.values(DeploymentStatus).filter((status) => NEXT_STATUSES[status].includes(to))
  const columns: Record<string, unknown> = {
    ...patch,
    ...(isSettled(to) ? { lease_owner: null, lease_until: null } : {}),
  }
  const isNow = (name: string) => columns[name] === NOW
  const names = Object.keys(columns).filter((name) => !isNow(name))
  const sets = [
    ...names.map((name, index) => `, "${name}" = $${index + 6}`),
    ...Object.keys(columns)
      .filter(isNow)
      .map((name) => `, "${name}" = clock_timestamp()`),
  ].join('')
  const rows = await manager.query<unknown[]>(
    `WITH old AS (SELECT id, status FROM deployment WHERE id = $1 AND epoch = $2 AND status = ANY($3) FOR NO KEY UPDATE),
          new AS (UPDATE deployment d SET status = $4 ${sets} FROM old WHERE d.id = old.id RETURNING d.id)
     INSERT INTO deployment_event (deployment_id, epoch, from_status, to_status, reason)
     SELECT old.id, $2, old.status, $4, $5 FROM old JOIN new ON new.id = old.id RETURNING deployment_id`,
    [claim.deploymentId, claim.epoch, from, to, reason, ...names.map((name) => columns[name])],
  )
  if (rows.length === 0) throw new LostClaimError(claim.deploymentId)
}

/** The last words of a log, in the transaction that settles its deployment. */
export interface LastWords {
  readonly text: string
  readonly before?: readonly LogChunkInput[]
  readonly omittedBytes?: number
}

/**
 * Moves a deployment to a settled status and closes its log, in the caller's transaction.
 *
 * @throws LostClaimError
 */
export async function settle(
  manager: Queryable,
  claim: Claim,
  to: DeploymentStatus,
  words: LastWords,
  patch: StatusPatch = {},
): Promise<void> {
  await transition(manager, claim, to, words.text, patch)
  const last = { at: new Date(), phase: to, stream: LogSource.SYSTEM, text: `${words.text}\n` }
  const base = await appendChunks(manager, claim.deploymentId, [...(words.before ?? []), last], {
    epoch: claim.epoch,
    expectedSeq: null,
    omittedBytes: words.omittedBytes ?? 0,
    end: to,
  })
  if (base === null) throw new LostClaimError(claim.deploymentId)
}

/** Records a status that was changed by a statement of its own (the claim, the rescue). */
export async function recordEvent(
  manager: Queryable,
  claim: Claim,
  from: DeploymentStatus | null,
  to: DeploymentStatus,
  reason: string | null,
): Promise<void> {
  await manager.query(
    'INSERT INTO deployment_event (deployment_id, epoch, from_status, to_status, reason) VALUES ($1, $2, $3, $4, $5)',
    [claim.deploymentId, claim.epoch, from, to, reason],
  )
}
