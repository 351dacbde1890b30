import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../sql/queryable.js'
import { IS_ROUTED_TO, KEPT_FOR_ROLLBACK } from '../sql/predicates.js'

/** From the database's word that a version may be stopped: after this its containers may be needed again. */
export const STOP_WITHIN_SECONDS = 2
/** Whoever starts a stopped version renews its reservation this often; without a renewal it ends after this. */
const RENEW_MS = 2_000
const RESERVATION_TTL_SECONDS = 10
/** Without a renewal for so long it stops, well before others may begin. By the monotonic clock. */
const LOST_AFTER_MS = 7_000

/**
 * SQL that says of a RETIRED deployment `d` that somebody is about to stop its containers, or to make them run again, and
 * that nobody else may. It ends by itself.
 */
export const RESERVED = 'd.addresses IS NULL AND coalesce(d.drain_until > now(), false)'

/** SQL that says of a RETIRED deployment `d` that its containers may be stopped. */
export const MAY_STOP = `d.status = 'RETIRED' AND NOT (${RESERVED}) AND NOT ${IS_ROUTED_TO}`

/** Names a reservation: the time when it ends. */
type Reservation = string

/** Ends a drain: its containers are reserved for being stopped. Null: they are not to be touched. */
export async function reserveForStop(
  database: Queryable,
  deploymentId: string,
): Promise<{ readonly kept: boolean; readonly until: Reservation } | null> {
  const [rows] = await database.query<[{ kept: boolean; until: Reservation }[], number]>(
    `UPDATE deployment d SET addresses = NULL, drain_until = now() + make_interval(secs => $2)
      WHERE id = $1 AND ${MAY_STOP}
     RETURNING ${KEPT_FOR_ROLLBACK} AS kept, drain_until::text AS until`,
    [deploymentId, STOP_WITHIN_SECONDS],
  )
  return rows[0] ?? null
}

/** Others may be at it again. A reservation that has ended, or was ended by a change of status, is left as it is. */
export async function release(database: Queryable, deploymentId: string, until: Reservation): Promise<void> {
  await database.query(
    `UPDATE deployment SET drain_until = NULL
      WHERE id = $1 AND status = 'RETIRED' AND addresses IS NULL AND drain_until = $2::timestamptz`,
    [deploymentId, until],
  )
}

/** Whose containers, and what has to be true of the deployment `d` for them to be needed, in SQL. */
interface ReservationTarget {
  readonly database: Queryable
  readonly id: string
  readonly needed: string
}

/**
 * Does `work` on a RETIRED deployment whose containers were stopped, or are about to be, while nobody else touches them:
 * until `work` has ended, or a few seconds after this process has died. `work` is aborted when they are not needed any
 * more, or when the reservation cannot be renewed in time.
 *
 * @returns null when somebody else is at it, or it is not RETIRED or not needed
 */
export async function whileReserved<T>(
  target: ReservationTarget,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<{ readonly result: T } | null> {
  const first = await extend(target, `NOT (${RESERVED})`, [])
  if (first === null) return null
  const lost = new AbortController()
  const ended = new AbortController()
  const keeping = keep(target, first, { ended: ended.signal, lost })
  try {
    return { result: await work(AbortSignal.any([signal, lost.signal])) }
  } finally {
    ended.abort()
    await release(target.database, target.id, await keeping)
  }
}

/** Renews until `ended`; gives the reservation as it is then. */
async function keep(
  target: ReservationTarget,
  first: Reservation,
  { ended, lost }: { readonly ended: AbortSignal; readonly lost: AbortController },
): Promise<Reservation> {
  let until = first
  let renewedAt = performance.now()
  for (;;) {
    await sleep(RENEW_MS, undefined, { signal: ended }).catch(() => undefined)
    if (ended.aborted) return until
    const askedAt = performance.now()
    const ours = 'd.drain_until = $3::timestamptz'
    const next = await extend(target, ours, [until]).catch(() => undefined)
    if (next) [until, renewedAt] = [next, askedAt]
    else if (next === null || performance.now() - renewedAt > LOST_AFTER_MS) {
      lost.abort(new Error(`${target.id} is not to be started any more`))
      return until
    }
  }
}

async function extend(
  { database, id, needed }: ReservationTarget,
  condition: string,
  values: readonly string[],
): Promise<Reservation | null> {
  const [rows] = await database.query<[{ until: Reservation }[], number]>(
    `UPDATE deployment d SET drain_until = now() + make_interval(secs => $2)
      WHERE id = $1 AND status = 'RETIRED' AND addresses IS NULL AND ${needed} AND ${condition}
     RETURNING drain_until::text AS until`,
    [id, RESERVATION_TTL_SECONDS, ...values],
  )
  return rows[0]?.until ?? null
}
