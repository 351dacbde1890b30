import type { ListedRefs, RefsAnswer, RequestedHook } from '../../entities/refs-request.js'
import type { Queryable } from '../sql/queryable.js'

/** More questions than this wait for no worker: each holds a connection to a server. */
const MAX_WAITING = 20

/** A question of the API: which refs does this repository have? Or a webhook to be created. */
export interface NewRefsRequest {
  readonly id: string
  readonly repoUrl: string
  /** Whose credential it is asked with; null: as anybody. */
  readonly appId: string | null
  readonly timeoutMs: number
  readonly hook: RequestedHook | null
}

/** False: too many wait already. */
export async function insertRequest(database: Queryable, request: NewRefsRequest): Promise<boolean> {
  const rows = await database.query<unknown[]>(
    `INSERT INTO refs_request (id, repo_url, app_id, hook, expires_at)
     SELECT $1, $2, $3, $4::jsonb, now() + make_interval(secs => $5::float8)
      WHERE (SELECT count(*) FROM refs_request WHERE answer IS NULL AND expires_at > now()) < ${MAX_WAITING}
     RETURNING id`,
    [request.id, request.repoUrl, request.appId, request.hook, request.timeoutMs / 1000],
  )
  return rows.length > 0
}

/** How far a worker is with it. */
export interface RequestState {
  readonly claimedBy: string | null
  readonly answer: RefsAnswer | null
}

/** Null: it is gone, as after a crash of PostgreSQL. */
export async function readRequest(database: Queryable, id: string): Promise<RequestState | null> {
  const sql = 'SELECT claimed_by AS "claimedBy", answer FROM refs_request WHERE id = $1'
  return (await database.query<RequestState[]>(sql, [id]))[0] ?? null
}

export async function deleteRequest(database: Queryable, id: string): Promise<void> {
  await database.query('DELETE FROM refs_request WHERE id = $1', [id])
}

/** Removes what a killed API process has left. */
export async function deleteExpiredRequests(database: Queryable): Promise<void> {
  await database.query('DELETE FROM refs_request WHERE expires_at < now()')
}

/** A question that a worker is to answer. */
export interface ClaimedRequest {
  readonly id: string
  readonly repoUrl: string
  readonly appId: string | null
  readonly hook: RequestedHook | null
  /** Nobody waits any longer. */
  readonly leftMs: number
}

/** Takes the oldest ones that no worker has. */
export async function claimRequests(
  database: Queryable,
  workerId: string,
  limit: number,
): Promise<ClaimedRequest[]> {
  const [rows] = await database.query<[ClaimedRequest[], number]>(
    `UPDATE refs_request SET claimed_by = $1
      WHERE id IN (SELECT id FROM refs_request WHERE claimed_by IS NULL AND expires_at > now()
                    ORDER BY created_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
      RETURNING id, repo_url AS "repoUrl", app_id AS "appId", hook,
                (extract(epoch FROM expires_at - now()) * 1000)::float8 AS "leftMs"`,
    [workerId, limit],
  )
  return rows
}

export async function answerRequest(database: Queryable, id: string, answer: RefsAnswer): Promise<void> {
  await database.query('UPDATE refs_request SET answer = $2 WHERE id = $1', [id, answer])
}

export type { ListedRefs, RefsAnswer, RequestedHook }
