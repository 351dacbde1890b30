import type { Queryable } from '../sql/queryable.js'
import type { DeploymentStatus, LogStream } from '../../entities/deployment-status.js'

/** Lines are joined to chunks up to this. */
export const CHUNK_BYTES = 16 * 1024

export interface LogChunkInput {
  readonly at: Date
  readonly phase: DeploymentStatus
  readonly stream: LogStream
  readonly text: string
}

export interface StoredChunk extends LogChunkInput {
  readonly seq: number
}

/** How a log ended; written together with its last chunk. */
export interface LogEnd {
  readonly status: DeploymentStatus
  readonly lastSeq: number
  readonly bytes: number
  readonly omittedBytes: number
  /** The engine that built left lines out, which nobody can count. */
  readonly clipped: boolean
}

/** What is stored when a log ends: nothing, or a notice of what was left out and the last lines, which were kept back. */
export interface OverflowTail {
  readonly chunks: LogChunkInput[]
  readonly omittedBytes: number
  readonly clipped: boolean
}

export interface LogPage {
  readonly chunks: StoredChunk[]
  /** The day that the log began, by which its chunks are filed. */
  readonly logDay: string
  /** Set when the log is complete; the page may still be followed by others. */
  readonly end: LogEnd | null
}

export interface AppendOptions {
  readonly deploymentId: string
  /** The epoch of the claim under which is written. */
  readonly epoch: number
  /** The seq before the first new chunk, as the writer knows it. Null: whatever it is. */
  readonly expectedSeq: number | null
  readonly omittedBytes?: number
  readonly clipped?: boolean
  /** Closes the log with these chunks. */
  readonly end?: DeploymentStatus
}

// One statement allocates the numbers and inserts the rows: no reader ever sees a gap, and a writer whose epoch is
// no longer the stream's inserts nothing. A sequence or identity column as cursor was rejected: transactions commit
// in another order than they number, and a reader in between loses rows for good.
const APPEND = `
  WITH head AS (
    UPDATE log_stream
       SET last_seq = last_seq + $3, bytes = bytes + $4, omitted_bytes = omitted_bytes + $5,
           end_status = coalesce($6, end_status), clipped = clipped OR $12
     WHERE deployment_id = $1 AND epoch = $2 AND end_status IS NULL AND ($7::int IS NULL OR last_seq = $7)
    RETURNING last_seq - $3 AS base, log_day
  ), chunk AS (
    INSERT INTO log_chunk (deployment_id, log_day, seq, at, phase, stream, text)
    SELECT $1, head.log_day, head.base + c.n, c.at, c.phase, c.stream, c.text
      FROM head, unnest($8::timestamptz[], $9::text[], $10::text[], $11::text[])
                 WITH ORDINALITY AS c (at, phase, stream, text, n)
  )
  SELECT base FROM head`

/**
 * Appends chunks to a deployment's log. All or nothing.
 *
 * @returns the seq before the first of them, or null when the epoch is no longer the claim's, the log is closed or
 * `expectedSeq` is not its end.
 */
export async function appendChunks(
  database: Queryable,
  chunks: readonly LogChunkInput[],
  options: AppendOptions,
): Promise<number | null> {
  const bytes = chunks.reduce((sum, chunk) => sum + Buffer.byteLength(chunk.text), 0)
  const rows = await database.query<{ base: number }[]>(APPEND, [
    options.deploymentId,
    options.epoch,
    chunks.length,
    bytes,
    options.omittedBytes ?? 0,
    options.end ?? null,
    options.expectedSeq,
    chunks.map((chunk) => chunk.at.toISOString()),
    chunks.map((chunk) => chunk.phase),
    chunks.map((chunk) => chunk.stream),
    chunks.map((chunk) => chunk.text),
    options.clipped ?? false,
  ])
  return rows[0]?.base ?? null
}

export interface PageQuery {
  readonly after: number
  readonly limit: number
  /** Of an earlier page. Where it is known the database plans for one partition, not for all: half of a small page's time. */
  readonly logDay?: string | null
}

interface PageRow extends StoredChunk {
  log_day: string
  last_seq: number
  bytes: string
  omitted_bytes: string
  clipped: boolean
  end_status: DeploymentStatus | null
}

const PAGE = `
  SELECT s.log_day::text, s.last_seq, s.bytes, s.omitted_bytes, s.clipped, s.end_status,
         c.seq, c.at, c.phase, c.stream, c.text
    FROM log_stream s
    LEFT JOIN LATERAL (SELECT * FROM log_chunk
                        WHERE deployment_id = s.deployment_id AND log_day = coalesce($4, s.log_day) AND seq > $2
                        ORDER BY seq LIMIT $3) c ON true
   WHERE s.deployment_id = $1
   ORDER BY c.seq`

/** Reads chunks after `after` and the log's end in one snapshot. Null: there is no such log. */
export async function readPage(
  database: Queryable,
  deploymentId: string,
  { after, limit, logDay = null }: PageQuery,
): Promise<LogPage | null> {
  const rows = await database.query<PageRow[]>(PAGE, [deploymentId, after, limit, logDay])
  const head = rows[0]
  if (!head) return null
  const end = head.end_status && {
    status: head.end_status,
    lastSeq: head.last_seq,
    bytes: Number(head.bytes),
    omittedBytes: Number(head.omitted_bytes),
    clipped: head.clipped,
  }
  const chunks = rows
    .filter((row) => row.seq !== null)
    .map(({ seq, at, phase, stream, text }) => ({ seq, at, phase, stream, text }))
  return { chunks, logDay: head.log_day, end: end || null }
}

/** The seq of the last chunk written under `epoch`, or null when the claim is lost. */
export async function lastSeqOf(
  database: Queryable,
  deploymentId: string,
  epoch: number,
): Promise<number | null> {
  const sql = 'SELECT last_seq FROM log_stream WHERE deployment_id = $1 AND epoch = $2'
  const rows = await database.query<{ last_seq: number }[]>(sql, [deploymentId, epoch])
  return rows[0]?.last_seq ?? null
}
