import { RetryWindow } from '../wakeups/retry-window.js'
import type { LogFeed, LogHub } from './hub.js'
import type { LogEnd, LogPage, StoredChunk } from './store.js'

/** A chunk for a viewer; the last one of a log carries its end. */
export interface LogEntry extends StoredChunk {
  readonly end: LogEnd | null
}

/** A wake-up that was lost is made up for after this. */
const POLL_MS = 2_000

/**
 * Follows a log: n+1, n+2, … after `after`, stored chunks first, then live ones, each exactly once and in order,
 * then completion after the entry with `end`.
 *
 * Pull only: nothing is read before it is asked for, so a viewer that stops reading costs one page. An iterator
 * object and not an `async function*`, whose `return()` would wait in line behind the chunk that it is to give up.
 */
export class LogReader implements AsyncIterableIterator<LogEntry> {
  #feed: LogFeed
  #page: LogEntry[] = []
  #after: number
  #done = false
  #cancelWait: () => void = () => undefined
  readonly #retryWindow = new RetryWindow(() => this.#done)

  constructor(hub: LogHub, deploymentId: string, after: number) {
    this.#feed = hub.open(deploymentId)
    this.#after = after
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<LogEntry>> {
    try {
      while (!this.#done && this.#page.length === 0) await this.#fill()
    } catch (error) {
      this.#finish()
      throw error
    }
    const entry = this.#done ? undefined : this.#page.shift()
    if (!entry) return { done: true, value: undefined }
    if (entry.text !== '' && entry.seq !== this.#after + 1) {
      this.#finish()
      throw new Error(`log gap: ${this.#after} is followed by ${entry.seq}`)
    }
    this.#after = entry.seq
    if (entry.end) this.#finish()
    return { done: false, value: entry }
  }

  return(): Promise<IteratorResult<LogEntry>> {
    this.#finish()
    return Promise.resolve({ done: true, value: undefined })
  }

  #finish(): void {
    this.#done = true
    this.#cancelWait()
    this.#feed.close()
  }

  async #fill(): Promise<void> {
    const version = this.#feed.version() // before the read: a change during it must not be slept through
    const page = await this.#retryWindow.run(() => this.#feed.page(this.#after), 'unread')
    if (page === null) return this.#finish()
    if (page !== 'unread') this.#page = entriesOf(page, this.#after)
    if (this.#page.length > 0 || this.#done) return
    const { promise, cancel } = this.#feed.changed(version, POLL_MS)
    this.#cancelWait = cancel
    await promise
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
