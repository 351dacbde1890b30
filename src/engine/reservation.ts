import type { Queryable } from './logs/store.js'
import { KEPT_FOR_RETURN } from './states.js'

/** From the database's word that a version may be stopped: after this its containers may be wanted again. */
export const STOP_WITHIN_SECONDS = 2

/**
 * SQL that says of a RETIRED deployment `d` that somebody is about to stop its containers, or to make them run again, and
 * that nobody else may. It ends by itself.
 */
export const RESERVED = 'd.addresses IS NULL AND coalesce(d.drain_until > now(), false)'

/** SQL that says of a deployment `d` that its stage's traffic is to go to it. */
const WANTED = `EXISTS (SELECT 1 FROM stage s
  WHERE s.id = d.stage_id AND s.current_deployment_id = d.id AND NOT s.stopped)`

/** SQL that says of a RETIRED deployment `d` that its containers may be stopped. */
export const MAY_STOP = `d.status = 'RETIRED' AND NOT (${RESERVED}) AND NOT ${WANTED}`

/** Names a reservation: the time when it ends. */
export type Reservation = string

/**
 * Keeps everybody else from the containers of a RETIRED deployment that were stopped, or are about to be, for the time
 * that they may take to run and answer.
 *
 * @returns null when somebody else is at it, or it is not RETIRED, or still drains
 */
export async function reserve(
  database: Queryable,
  deploymentId: string,
  seconds: number,
): Promise<Reservation | null> {
  const [rows] = await database.query<[{ until: Reservation }[], number]>(
    `UPDATE deployment d SET drain_until = now() + make_interval(secs => $2)
      WHERE id = $1 AND status = 'RETIRED' AND addresses IS NULL AND NOT (${RESERVED})
     RETURNING drain_until::text AS until`,
    [deploymentId, seconds],
  )
  return rows[0]?.until ?? null
}

/** Ends a drain: its containers are reserved for being stopped. Null: they are not to be touched. */
export async function reserveForStop(
  database: Queryable,
  deploymentId: string,
): Promise<{ readonly kept: boolean; readonly until: Reservation } | null> {
  const [rows] = await database.query<[{ kept: boolean; until: Reservation }[], number]>(
    `UPDATE deployment d SET addresses = NULL, drain_until = now() + make_interval(secs => $2)
      WHERE id = $1 AND ${MAY_STOP}
     RETURNING ${KEPT_FOR_RETURN} AS kept, drain_until::text AS until`,
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
