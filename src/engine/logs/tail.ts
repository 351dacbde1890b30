import type { Queryable } from '../sql/queryable.js'
import { PAGE_CHUNKS } from './hub.js'

/** The end of a log as it is now. */
export interface LogTail {
  /** Its last lines, whole. */
  readonly text: string
  /** The last seq that they reach to: who follows goes on after it. */
  readonly lastSeq: number
}

const BEFORE = `
  SELECT c.seq, c.text FROM log_stream s
    JOIN log_chunk c ON c.deployment_id = s.deployment_id AND c.log_day = s.log_day
   WHERE s.deployment_id = $1 AND c.seq < $2 ORDER BY c.seq DESC LIMIT ${PAGE_CHUNKS}`

/** Reads the last lines of a deployment's log, fewer where it has no more. What is written meanwhile is not among them. */
export async function readTail(database: Queryable, deploymentId: string, lines: number): Promise<LogTail> {
  const texts: string[] = []
  let found = 0
  let lastSeq = 0
  for (let before = 2 ** 31 - 1; found < lines || lastSeq === 0;) {
    const chunks = await database.query<{ seq: number; text: string }[]>(BEFORE, [deploymentId, before])
    const [newest] = chunks
    if (!newest) break
    lastSeq ||= newest.seq
    for (const { seq, text } of chunks) {
      before = seq
      if (found >= lines) break
      texts.unshift(text)
      found += text.split('\n').length - 1
    }
  }
  return { text: lastLines(texts.join(''), lines), lastSeq }
}

/** Chunks end with a newline: after the last one there is no line any more. */
function lastLines(text: string, lines: number): string {
  const all = text.split('\n')
  return all.slice(Math.max(0, all.length - 1 - lines)).join('\n')
}
