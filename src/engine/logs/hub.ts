import type { Wakeups } from '../wakeups/wakeups.js'
import type { Queryable } from '../sql/queryable.js'
import { type LogEnd, type LogPage, readPage, type StoredChunk } from './store.js'
import type { LogAnnouncer } from './writer.js'

/** Newest chunks kept per followed log, in UTF-16 units: enough for every viewer that keeps up. */
const RING_LENGTH = 1024 * 1024
/** Chunks per page: the most that one viewer has in flight. */
export const PAGE_CHUNKS = 64
/** Up to here all viewers together cost less than waiting would. */
const FEW_VIEWERS = 40
const MAX_WINDOW_MS = 100

/** One log as its followers in this process share it. */
interface Followed {
  /** What each reader is told a change by, and how many watch through it. */
  readonly readers: Map<() => void, number>
  /** Newest stored chunks without gaps, oldest first. */
  ring: StoredChunk[]
  ringLength: number
  /** As soon as a read has seen it. */
  logDay: string | null
  /** How it ended, as soon as a read has seen it. */
  end: LogEnd | null
  reading: Map<number, Promise<LogPage | null>>
}

/** What a reader gets, from memory or from the database. */
export type FeedPage = Pick<LogPage, 'chunks' | 'end'>

/** A viewer's view of one log. Must be closed. */
export interface LogFeed {
  /** Chunks after `after`; empty at the end. Null: there is no such log. */
  page(after: number): Promise<FeedPage | null>
  /** How many watch through it. */
  shownTo(viewers: number): void
  close(): void
}

/**
 * What the viewers of a process share: one query per change and page, however many watch.
 *
 * Chunks that a writer of this process has stored are served from memory; everything else is read from the
 * database. A wake-up that gets lost costs its viewers the poll interval, never a line.
 */
export class LogHub implements LogAnnouncer, Disposable {
  readonly #followed = new Map<string, Followed>()
  readonly #unsubscribe: () => void

  constructor(
    private readonly database: Queryable,
    private readonly wakeups: Wakeups,
  ) {
    this.#unsubscribe = wakeups.on('log', (id) => this.#wake(id))
  }

  /** Follows a log until the feed is closed. `onChange` is called when it may have grown or ended. */
  open(deploymentId: string, onChange: () => void): LogFeed {
    const log = this.#followed.get(deploymentId) ?? createFollowed()
    this.#followed.set(deploymentId, log)
    const reader = () => onChange()
    log.readers.set(reader, 1)
    return {
      page: (after) => this.#page(deploymentId, log, after),
      shownTo: (viewers) => void (log.readers.has(reader) && log.readers.set(reader, viewers)),
      close: () => {
        if (log.readers.delete(reader) && log.readers.size === 0) this.#followed.delete(deploymentId)
      },
    }
  }

  announce(deploymentId: string, chunks: readonly StoredChunk[]): void {
    const log = this.#followed.get(deploymentId)
    if (log) extendRing(log, chunks)
    this.wakeups.logGrew(deploymentId)
  }

  windowMs(deploymentId: string): number {
    return windowMsFor(viewersOf(this.#followed.get(deploymentId)))
  }

  /** How many subscriptions follow a log here. */
  viewers(): number {
    return [...this.#followed.values()].reduce((sum, log) => sum + viewersOf(log), 0)
  }

  [Symbol.dispose](): void {
    this.#unsubscribe()
  }

  #wake(deploymentId: string): void {
    const logs = deploymentId ? [this.#followed.get(deploymentId)] : [...this.#followed.values()]
    for (const log of logs) {
      for (const wake of log?.readers.keys() ?? []) wake()
    }
  }

  async #page(deploymentId: string, log: Followed, after: number): Promise<FeedPage | null> {
    const fromRing = pageFromRing(log, after)
    if (fromRing) return fromRing
    // Keyed by cursor: sharing one read among different cursors would give a viewer somebody else's page.
    const underWay = log.reading.get(after)
    if (underWay) return underWay
    const reading = readPage(this.database, deploymentId, { after, limit: PAGE_CHUNKS, logDay: log.logDay })
    log.reading.set(after, reading)
    try {
      const page = await reading
      if (page) extendRing(log, page.chunks)
      log.logDay ??= page?.logDay ?? null
      log.end ??= page?.end ?? null
      return page
    } finally {
      log.reading.delete(after)
    }
  }
}

function createFollowed(): Followed {
  return {
    readers: new Map(),
    ring: [],
    ringLength: 0,
    logDay: null,
    end: null,
    reading: new Map(),
  }
}

/** How long lines gather into fewer events, when so many watch. */
export function windowMsFor(viewers: number): number {
  return viewers <= FEW_VIEWERS ? 0 : Math.min(viewers / 20, MAX_WINDOW_MS)
}

function viewersOf(log: Followed | undefined): number {
  return [...(log?.readers.values() ?? [])].reduce((sum, viewers) => sum + viewers, 0)
}

/** Takes chunks that continue the ring; others would leave a gap in it, and are in the database anyway. */
function extendRing(log: Followed, chunks: readonly StoredChunk[]): void {
  for (const chunk of chunks) {
    const last = log.ring.at(-1)
    if (last && chunk.seq <= last.seq) continue
    if (last && chunk.seq !== last.seq + 1) {
      log.ring = []
      log.ringLength = 0
    }
    log.ring.push(chunk)
    log.ringLength += chunk.text.length
  }
  while (log.ringLength > RING_LENGTH && log.ring.length > 1) {
    log.ringLength -= log.ring.shift()?.text.length ?? 0
  }
}

/** Null: the ring does not hold what follows `after`. */
function pageFromRing(log: Followed, after: number): FeedPage | null {
  const first = log.ring[0]
  const last = log.ring.at(-1)
  if (!first || !last || after + 1 < first.seq || after >= last.seq) return null
  const start = after + 1 - first.seq
  return { chunks: log.ring.slice(start, start + PAGE_CHUNKS), end: log.end }
}
