import { PullIterator, type Shareable } from '../wakeups/pull-iterator.js'
import { type FeedPage, type LogFeed, type LogHub, PAGE_CHUNKS } from './hub.js'
import type { LogEnd, StoredChunk } from './store.js'

/** A chunk for a viewer; the last one of a log carries its end. */
export interface LogEntry extends StoredChunk {
  readonly end: LogEnd | null
}

/**
 * Follows a log: n+1, n+2, … after `after`, stored chunks first, then live ones, each exactly once and in order,
 * then completion after the entry with `end`.
 */
export class LogReader extends PullIterator<LogEntry> implements Shareable<LogEntry> {
  readonly subject: string
  readonly #feed: LogFeed
  #after: number

  constructor(
    private readonly hub: LogHub,
    private readonly deploymentId: string,
    after: number,
  ) {
    super()
    this.subject = `log of ${deploymentId}`
    this.#feed = hub.open(deploymentId, () => this.wake())
    this.#after = after
  }

  position(): string {
    return String(this.#after)
  }

  fork(): LogReader {
    return new LogReader(this.hub, this.deploymentId, this.#after)
  }

  shownTo(viewers: number): void {
    this.#feed.shownTo(viewers)
  }

  protected async read(): Promise<LogEntry[]> {
    const page = await this.#feed.page(this.#after)
    if (!page) {
      this.finish()
      return []
    }
    if (page.chunks.length < PAGE_CHUNKS) this.foundAll()
    return entriesOf(page, this.#after)
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
function entriesOf(page: FeedPage, after: number): LogEntry[] {
  const { chunks, end } = page
  if (chunks.length === 0 && end) {
    const text = { at: new Date(), phase: end.status, stream: 'SYSTEM' as StoredChunk['stream'], text: '' }
    return [{ ...text, seq: Math.max(end.lastSeq, after), end }]
  }
  return storedEntries(page)
}

/** What is stored, and nothing else: who reads page by page is done where a page is empty. */
export function storedEntries({ chunks, end }: FeedPage): LogEntry[] {
  return chunks.map((chunk) => (end && chunk.seq === end.lastSeq ? { ...chunk, end } : entryOf(chunk)))
}

/** The hub gives all readers the same chunks, and these the same entries: so what is made of one is made once. */
const ENTRIES = new WeakMap<StoredChunk, LogEntry>()

function entryOf(chunk: StoredChunk): LogEntry {
  const entry = ENTRIES.get(chunk) ?? { ...chunk, end: null }
  ENTRIES.set(chunk, entry)
  return entry
}
