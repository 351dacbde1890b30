import type { LogStream } from '../../entities/deployment-status.js'
import type { DeploymentPosition } from '../../entities/runtime-log-viewer.js'
import type { Queryable } from '../sql/queryable.js'

/** Chunks that wait for one viewer at most; what is beyond waits in the Docker engine. */
export const UNREAD_CHUNKS = 64
/** A viewer of which its API process says nothing for so long is gone. */
const EXPIRY_SECONDS = 15
/** A worker that does not renew its claim for so long has lost it. */
const LEASE_SECONDS = 8

/** One or more whole lines of a container. */
export interface RuntimeLogInput {
  readonly deploymentId: string
  readonly at: Date
  readonly stream: LogStream
  readonly text: string
}

/** With where its viewer stands when it has been shown. */
export interface PlacedLog extends RuntimeLogInput {
  readonly places: readonly DeploymentPosition[]
}

export interface RuntimeLogEntry extends PlacedLog {
  readonly seq: number
}

/** Who reads, and from when on a viewer without `tail` is shown something. */
export interface ViewerRow {
  readonly id: string
  readonly stageId: string
  readonly tail: number
  readonly createdAt: Date
}

/** A viewer as a worker has claimed it. */
export interface ClaimedViewer extends ViewerRow {
  readonly epoch: number
  readonly lastSeq: number
  readonly readSeq: number
  readonly places: readonly DeploymentPosition[] | null
  /** It is shown what was written up to here and no more. Null: it follows the stage. */
  readonly until: DeploymentPosition | null
}

/** What a viewer reads at once. */
export interface ViewerPage {
  readonly entries: RuntimeLogEntry[]
  /** Of one that ends: all that it is shown was stored before this was read. */
  readonly hasEnded: boolean
}

export async function insertViewer(
  database: Queryable,
  viewer: Pick<ClaimedViewer, 'id' | 'stageId' | 'tail' | 'places' | 'until'>,
): Promise<void> {
  const [places, until] = [viewer.places, viewer.until].map((value) => value && JSON.stringify(value))
  await database.query(
    `INSERT INTO runtime_log_viewer (id, stage_id, tail, places, until, expires_at)
     VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => ${EXPIRY_SECONDS}))`,
    [viewer.id, viewer.stageId, viewer.tail, places, until],
  )
}

/** Somebody still reads. */
export async function renewViewer(database: Queryable, id: string): Promise<void> {
  await database.query(
    `UPDATE runtime_log_viewer SET expires_at = now() + make_interval(secs => ${EXPIRY_SECONDS}) WHERE id = $1`,
    [id],
  )
}

export async function deleteViewer(database: Queryable, id: string): Promise<void> {
  await database.query('DELETE FROM runtime_log_viewer WHERE id = $1', [id])
}

/** Says that chunks up to `readSeq` have been read, which removes them, and gives those after it. Null: no such viewer. */
export async function readOn(database: Queryable, id: string, readSeq: number): Promise<ViewerPage | null> {
  // Whether it has ended is of the statement's snapshot, as the chunks are; the row that is updated may be newer.
  const rows = await database.query<((RuntimeLogEntry | { seq: null }) & { hasEnded: boolean | null })[]>(
    `WITH viewer AS (
       UPDATE runtime_log_viewer SET read_seq = $2, expires_at = now() + make_interval(secs => ${EXPIRY_SECONDS})
        WHERE id = $1 RETURNING id
     ), read AS (DELETE FROM runtime_log_chunk WHERE viewer_id = $1 AND seq <= $2)
     SELECT (SELECT has_ended FROM runtime_log_viewer WHERE id = $1) AS "hasEnded",
            c.deployment_id AS "deploymentId", c.seq, c.at, c.stream, c.text, c.places
       FROM viewer LEFT JOIN runtime_log_chunk c ON c.viewer_id = viewer.id AND c.seq > $2
      ORDER BY c.seq LIMIT ${UNREAD_CHUNKS}`,
    [id, readSeq],
  )
  if (rows.length === 0) return null
  const entries = rows.flatMap(({ hasEnded: _, ...row }) => (row.seq === null ? [] : [row]))
  return { entries, hasEnded: rows[0]?.hasEnded === true }
}

/** Where a viewer begins that has been shown nothing. Null: nobody has begun, or it has been shown something. */
export async function readBeginning(
  database: Queryable,
  id: string,
): Promise<readonly DeploymentPosition[] | null> {
  const rows = await database.query<{ places: readonly DeploymentPosition[] | null }[]>(
    'SELECT places FROM runtime_log_viewer WHERE id = $1 AND last_seq = 0',
    [id],
  )
  return rows[0]?.places ?? null
}

const RETURNED = `id, stage_id AS "stageId", tail, created_at AS "createdAt", epoch, last_seq AS "lastSeq",
                  read_seq AS "readSeq", places, until`

/** Takes viewers that nobody reads for: new ones, and those of a worker that died. */
export async function claimViewers(
  database: Queryable,
  workerId: string,
  limit: number,
): Promise<ClaimedViewer[]> {
  const [rows] = await database.query<[ClaimedViewer[], number]>(
    `UPDATE runtime_log_viewer
        SET lease_owner = $1, epoch = epoch + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
      WHERE id IN (SELECT id FROM runtime_log_viewer
                    WHERE expires_at > now() AND (lease_until IS NULL OR lease_until < now())
                    ORDER BY created_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
      RETURNING ${RETURNED}`,
    [workerId, limit],
  )
  return rows
}

/** Keeps this worker's viewers; gives those that are still its own, by id with their epoch. */
export async function renewClaims(
  database: Queryable,
  workerId: string,
): Promise<ReadonlyMap<string, number>> {
  const [rows] = await database.query<[{ id: string; epoch: number }[], number]>(
    `UPDATE runtime_log_viewer SET lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
      WHERE lease_owner = $1 AND expires_at > now() RETURNING id, epoch`,
    [workerId],
  )
  return new Map(rows.map(({ id, epoch }) => [id, epoch]))
}

/** Another worker may go on at once. */
export async function releaseClaims(database: Queryable, workerId: string): Promise<void> {
  await database.query(
    'UPDATE runtime_log_viewer SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1',
    [workerId],
  )
}

/** Removes viewers that are gone without a word. */
export async function deleteExpired(database: Queryable): Promise<void> {
  await database.query('DELETE FROM runtime_log_viewer WHERE expires_at < now()')
}

type Claim = Pick<ClaimedViewer, 'id' | 'epoch'>

/** Chunks that come after `lastSeq`, and where the viewer stands with them. */
export interface Append {
  readonly lastSeq: number
  readonly chunks: readonly PlacedLog[]
  readonly places: readonly DeploymentPosition[]
}

/**
 * Stores chunks and where the viewer stands with them; all or nothing. False: the claim is lost, or
 * `lastSeq` is not where the viewer is.
 */
export async function appendChunks(
  database: Queryable,
  { id, epoch }: Claim,
  { lastSeq, chunks, places }: Append,
): Promise<boolean> {
  const rows = await database.query<{ id: string }[]>(
    `WITH head AS (
       UPDATE runtime_log_viewer SET last_seq = last_seq + $4, places = $5
        WHERE id = $1 AND epoch = $2 AND last_seq = $3 RETURNING id
     ), chunk AS (
       INSERT INTO runtime_log_chunk (viewer_id, seq, deployment_id, at, stream, text, places)
       SELECT head.id, $3 + c.n, c.deployment_id, c.at, c.stream, c.text, c.places
         FROM head, unnest($6::text[], $7::timestamptz[], $8::text[], $9::text[], $10::jsonb[])
                    WITH ORDINALITY AS c (deployment_id, at, stream, text, places, n)
     )
     SELECT id FROM head`,
    [
      id,
      epoch,
      lastSeq,
      chunks.length,
      JSON.stringify(places),
      chunks.map((chunk) => chunk.deploymentId),
      chunks.map((chunk) => chunk.at.toISOString()),
      chunks.map((chunk) => chunk.stream),
      chunks.map((chunk) => chunk.text),
      chunks.map((chunk) => JSON.stringify(chunk.places)),
    ],
  )
  return rows.length > 0
}

/** All that a viewer is shown that ends is stored. */
export async function endViewer(database: Queryable, { id, epoch }: Claim): Promise<void> {
  await database.query('UPDATE runtime_log_viewer SET has_ended = true WHERE id = $1 AND epoch = $2', [
    id,
    epoch,
  ])
}

/** How far it has been written and read. Null: the claim is lost. */
export async function readCounts(
  database: Queryable,
  { id, epoch }: Claim,
): Promise<{ lastSeq: number; readSeq: number } | null> {
  const rows = await database.query<{ lastSeq: number; readSeq: number }[]>(
    `SELECT last_seq AS "lastSeq", read_seq AS "readSeq" FROM runtime_log_viewer WHERE id = $1 AND epoch = $2`,
    [id, epoch],
  )
  return rows[0] ?? null
}
