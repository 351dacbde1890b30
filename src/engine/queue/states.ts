import { DeploymentStatus, isSettled, LogStream } from '../../entities/deployment-status.js'
import type { Deployment } from '../../entities/deployment.js'
import { LostClaimError } from '../errors.js'
import type { Queryable } from '../sql/queryable.js'
import { appendChunks, type OverflowTail } from '../logs/store.js'

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
  [RUNNING]: [RETIRED, ROLLED_BACK, FAILED],
  [RETIRED]: [RUNNING],
  [FAILED]: [],
  [CANCELLED]: [],
  [SUPERSEDED]: [],
  [ROLLED_BACK]: [],
}

class DatabaseTime {
  readonly kind = 'now'
}
/** In a patch: the present, by the database's clock. The workers' own may be hours apart. */
export const NOW = new DatabaseTime()

/** What can change together with the status, and its column. */
const COLUMNS = {
  addresses: 'addresses',
  drainUntil: 'drain_until',
  errorCode: 'error_code',
  errorExitCode: 'error_exit_code',
  errorLastLines: 'error_last_lines',
  errorMessage: 'error_message',
  errorPhase: 'error_phase',
  finishedAt: 'finished_at',
  leaseOwner: 'lease_owner',
  leaseUntil: 'lease_until',
  liveAt: 'live_at',
  replacedId: 'replaced_id',
  supersededBy: 'superseded_by',
  watchUntil: 'watch_until',
} as const satisfies Partial<Record<keyof Deployment, string>>
type Patched = keyof typeof COLUMNS

/** What changes together with the status. A time is {@link NOW}, or is taken away. */
export type StatusPatch = {
  readonly [Name in Patched]?: Deployment[Name] extends Date | null ? DatabaseTime | null : Deployment[Name]
}

/** The status that a deployment gets, and what changes with it. */
export interface StatusChange {
  readonly to: DeploymentStatus
  /** What its event says. */
  readonly reason?: string | null
  readonly patch?: StatusPatch
}

/**
 * Changes a claimed deployment's status and records it, in the caller's transaction.
 *
 * @throws LostClaimError when the claim is no longer the deployment's: nothing was changed.
 */
export async function transition(
  manager: Queryable,
  claim: Claim,
  { to, reason = null, patch = {} }: StatusChange,
): Promise<void> {
  const { sets, values } = assignments(to, patch, 6)
  const rows = await manager.query<unknown[]>(
    `WITH ${OLD}, new AS (UPDATE deployment d SET status = $4 ${sets} FROM old WHERE d.id = old.id RETURNING d.id)
     INSERT INTO deployment_event (deployment_id, epoch, from_status, to_status, reason)
     SELECT old.id, $2, old.status, $4, $5 FROM old JOIN new ON new.id = old.id RETURNING deployment_id`,
    [claim.deploymentId, claim.epoch, statusesBefore(to), to, reason, ...values],
  )
  if (rows.length === 0) throw new LostClaimError(claim.deploymentId)
}

/** A change whose event is recorded later. */
export interface UnannouncedChange {
  readonly to: DeploymentStatus
  /** What the event and the log will say. */
  readonly message: string
  readonly patch?: StatusPatch
}

/**
 * Does the same without a word: the deployment is shown as what it was, without an event, and its log stays open, until
 * {@link announceHeld} says `message`. For the transaction that moves a stage's traffic and holds the stage's row.
 *
 * @throws LostClaimError
 */
export async function transitionUnannounced(
  manager: Queryable,
  claim: Claim,
  { to, message, patch = {} }: UnannouncedChange,
): Promise<void> {
  const { sets, values } = assignments(to, patch, 6)
  const rows = await manager.query<unknown[]>(
    `WITH ${OLD}, new AS (
       UPDATE deployment d SET status = $4, shown_as = coalesce(d.shown_as, old.status), announcement = $5 ${sets}
         FROM old WHERE d.id = old.id RETURNING d.id)
     SELECT id FROM new`,
    [claim.deploymentId, claim.epoch, statusesBefore(to), to, message, ...values],
  )
  if (rows.length === 0) throw new LostClaimError(claim.deploymentId)
}

const OLD = `old AS (
  SELECT id, status FROM deployment WHERE id = $1 AND epoch = $2 AND status = ANY($3) FOR NO KEY UPDATE)`

function statusesBefore(to: DeploymentStatus): DeploymentStatus[] {
  return Object.values(DeploymentStatus).filter((status) => NEXT_STATUSES[status].includes(to))
}

/** A patch as SQL, each assignment after a comma; its values are parameters from number `first` on. */
function assignments(to: DeploymentStatus, patch: StatusPatch, first: number) {
  const whole: StatusPatch = isSettled(to) ? { ...patch, leaseOwner: null, leaseUntil: null } : patch
  const names = Object.keys(whole) as Patched[]
  const given = names.filter((name) => whole[name] !== NOW)
  const present = names.filter((name) => whole[name] === NOW)
  const sets = [
    ...given.map((name, index) => `, "${COLUMNS[name]}" = $${index + first}`),
    ...present.map((name) => `, "${COLUMNS[name]}" = clock_timestamp()`),
  ]
  return { sets: sets.join(''), values: given.map((name) => whole[name]) }
}

/** How a deployment is settled, and its log closed. */
export interface Settlement {
  readonly to: DeploymentStatus
  /** The reason of the event, and the last line of the log. */
  readonly text: string
  readonly overflowTail?: OverflowTail | undefined
  readonly patch?: StatusPatch
}

/**
 * Moves a deployment to a settled status and closes its log, in the caller's transaction.
 *
 * @throws LostClaimError
 */
export async function settle(
  manager: Queryable,
  claim: Claim,
  { to, text, overflowTail, patch = {} }: Settlement,
): Promise<void> {
  await transition(manager, claim, { to, reason: text, patch })
  const last = { at: new Date(), phase: to, stream: LogStream.SYSTEM, text: `${text}\n` }
  const base = await appendChunks(manager, [...(overflowTail?.chunks ?? []), last], {
    ...claim,
    expectedSeq: null,
    omittedBytes: overflowTail?.omittedBytes ?? 0,
    clipped: overflowTail?.clipped ?? false,
    end: to,
  })
  if (base === null) throw new LostClaimError(claim.deploymentId)
}

/** Appends the overflow tail of a log, if there is one. @throws LostClaimError */
export async function appendOverflowTail(
  manager: Queryable,
  claim: Claim,
  overflowTail: OverflowTail,
): Promise<void> {
  const { chunks, omittedBytes, clipped } = overflowTail
  if (chunks.length === 0) return
  const base = await appendChunks(manager, chunks, { ...claim, expectedSeq: null, omittedBytes, clipped })
  if (base === null) throw new LostClaimError(claim.deploymentId)
}

/** What an event says; `from` is null for a deployment's first one. */
export interface EventRecord {
  readonly from: DeploymentStatus | null
  readonly to: DeploymentStatus
  readonly reason: string | null
}

/** Records a status that was changed by a statement of its own (the claim, the rescue). */
export async function recordEvent(
  manager: Queryable,
  claim: Claim,
  { from, to, reason }: EventRecord,
): Promise<void> {
  await manager.query(
    'INSERT INTO deployment_event (deployment_id, epoch, from_status, to_status, reason) VALUES ($1, $2, $3, $4, $5)',
    [claim.deploymentId, claim.epoch, from, to, reason],
  )
}

interface HeldAnnouncement {
  readonly id: string
  readonly epoch: number
  readonly status: DeploymentStatus
  readonly shownAs: DeploymentStatus
  readonly announcement: string
}

/**
 * Says what {@link transitionUnannounced} has held back of a stage: events, and the end of a log that is still open. In
 * the caller's transaction, which holds the stage's row.
 *
 * @param warning what is added of a version that is RUNNING: requests may not reach it yet
 * @returns the deployments that it was said of
 */
export async function announceHeld(
  manager: Queryable,
  stageId: string,
  warning: string | null = null,
): Promise<string[]> {
  const held = await manager.query<HeldAnnouncement[]>(
    `SELECT id, epoch, status, shown_as AS "shownAs", announcement FROM deployment
      WHERE stage_id = $1 AND shown_as IS NOT NULL ORDER BY id FOR NO KEY UPDATE`,
    [stageId],
  )
  // What has failed first: with the version that it gives way to, a stage never shows two that are RUNNING.
  const inOrder = [...held].sort(
    (one, other) => Number(one.status === RUNNING) - Number(other.status === RUNNING),
  )
  for (const one of inOrder) await announceOne(manager, one, one.status === RUNNING ? warning : null)
  await manager.query('UPDATE stage SET confirm_until = NULL WHERE id = $1 AND confirm_until IS NOT NULL', [
    stageId,
  ])
  await manager.query('DELETE FROM route_confirmation WHERE stage_id = $1', [stageId])
  return held.map(({ id }) => id)
}

async function announceOne(
  manager: Queryable,
  held: HeldAnnouncement,
  warning: string | null,
): Promise<void> {
  const { id, epoch, status, shownAs, announcement } = held
  const claim = { deploymentId: id, epoch }
  const text = warning === null ? announcement : `${announcement}. ${warning}`
  // It served, and failed before anybody was told.
  const isAtOnce = NEXT_STATUSES[shownAs].includes(status)
  if (!isAtOnce) await recordEvent(manager, claim, { from: shownAs, to: RUNNING, reason: null })
  await recordEvent(manager, claim, { from: isAtOnce ? shownAs : RUNNING, to: status, reason: text })
  await manager.query('UPDATE deployment SET shown_as = NULL, announcement = NULL WHERE id = $1', [id])
  const last = { at: new Date(), phase: status, stream: LogStream.SYSTEM, text: `${text}\n` }
  // Not where the log has ended before: it serves again, or does not any more.
  await appendChunks(manager, [last], { ...claim, expectedSeq: null, end: status })
}
