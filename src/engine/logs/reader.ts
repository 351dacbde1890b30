import { PullIterator } from '../wakeups/pull-iterator.js'
import type { LogFeed, LogHub } from './hub.js'
import type { LogEnd, LogPage, StoredChunk } from './store.js'

/** A chunk for a viewer; the last one of a log carries its end. */
export interface LogEntry extends StoredChunk {
  readonly end: LogEnd | null
}

/**
 * Follows a log: n+1, n+2, … after `after`, stored chunks first, then live ones, each exactly once and in order,
 * then completion after the entry with `end`.
 */
export class LogReader extends PullIterator<LogEntry> {
  readonly #feed: LogFeed
  #after: number

  constructor(hub: LogHub, deploymentId: string, after: number) {
    super()
    this.#feed = hub.open(deploymentId, () => this.wake())
    this.#after = after
  }

  protected async read(): Promise<LogEntry[]> {
    const page = await this.#feed.page(this.#after)
    if (page) return entriesOf(page, this.#after)
    this.finish()
    return []
  }

  protected give(entry: LogEntry): boolean {
    if (entry.text !== '' && entry.seq !== this.#after + 1) {
      throw new Error(`log gap: ${this.#after} is followed by ${entry.seq}`)
    }
    this.#after = entry.seq
    return entry.end !== null
  }

  protected release(): void {
    this.#feed.close()
  }
}

/** A cursor at or past the end gets the end once more, with an empty text. */
function entriesOf(page: LogPage, after: number): LogEntry[] {
  const { chunks, end } = page
  if (chunks.length === 0 && end) {
    const text = { at: new Date(), phase: end.status, stream: 'SYSTEM' as StoredChunk['stream'], text: '' }
    return [{ ...text, seq: Math.max(end.lastSeq, after), end }]
  }
  return storedEntries(page)
}

/** What is stored, and nothing else: who reads page by page is done where a page is empty. */
export function storedEntries({ chunks, end }: LogPage): LogEntry[] {
  return chunks.map((chunk) => ({ ...chunk, end: end && chunk.seq === end.lastSeq ? end : null }))
}
