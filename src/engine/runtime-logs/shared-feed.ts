import type { DataSource } from 'typeorm'
import type { DeploymentPosition } from '../../entities/runtime-log-viewer.js'
import { readBeginning, type RuntimeLogEntry, UNREAD_CHUNKS } from './store.js'
import { type RuntimeLogSource, StoredViewer, type ViewerStart } from './stored-viewer.js'

/** Newest chunks that are kept for viewers that are a little behind, in UTF-16 units … */
const RING_LENGTH = 1024 * 1024
/** … with so many for what each one has beside its text: the place of each stream of each container. */
const CHUNK_COST = 1024
/** Pages that are read at once for somebody who comes later. */
const PAGES_AT_ONCE = 8

/** Where a viewer can join a feed, after what was written up to `places`. */
export interface Standing {
  readonly seq: number
  readonly places: readonly DeploymentPosition[]
}

/**
 * What the viewers of a stage share in one process: one viewer in the database, which is the first one's and stays for the
 * others, and its newest chunks in memory. Who is first to want more reads it, so that nothing is taken from the Docker
 * engine that nobody reads; who has fallen out of what is kept goes on by itself.
 */
export class SharedFeed {
  readonly #readers = new Set<() => void>()
  #viewer: StoredViewer | null = null
  #ring: RuntimeLogEntry[] = []
  #ringLength = 0
  #newest = 0
  #beginning: readonly DeploymentPosition[] | null = null
  #reading: Promise<number> | null = null
  #isLost = false

  private constructor(
    private readonly source: RuntimeLogSource,
    private readonly start: ViewerStart,
    private readonly onEmpty: () => void,
  ) {}

  /** The feed of a stage in this process; begins where `start` says, if there is none. `onChange`: see {@link enter}. */
  static async of(source: RuntimeLogSource, start: ViewerStart, onChange: () => void): Promise<SharedFeed> {
    const feeds = feedsOf(source.database)
    const known = feeds.get(start.stageId)
    const feed = await known
    // Its last viewer may have left meanwhile, and another have begun a new one.
    if (feed && feeds.get(start.stageId) === known) return feed.enter(onChange)
    if (feeds.has(start.stageId)) return SharedFeed.of(source, start, onChange)
    const opening = SharedFeed.#open(source, start, () => feeds.delete(start.stageId))
    feeds.set(start.stageId, opening)
    opening.catch(() => feeds.delete(start.stageId))
    return (await opening).enter(onChange)
  }

  static async #open(source: RuntimeLogSource, start: ViewerStart, onEmpty: () => void): Promise<SharedFeed> {
    const feed = new SharedFeed(source, start, onEmpty)
    feed.#viewer = await StoredViewer.open(source, start, () => feed.#wake())
    return feed
  }

  get id(): string {
    return this.#viewer?.id ?? ''
  }

  /** Whether it gives what somebody is shown who begins so, from its first chunk on. */
  begins(start: ViewerStart): boolean {
    const isSame = start.tail === this.start.tail && !start.places && !this.start.places
    return start === this.start || (isSame && this.#newest === 0)
  }

  /** Where it begins, as soon as it has given something. */
  get beginning(): readonly DeploymentPosition[] | null {
    return this.#beginning
  }

  /** `onChange` is called when there may be something to read, until {@link leave}. */
  enter(onChange: () => void): this {
    this.#readers.add(onChange)
    return this
  }

  leave(onChange: () => void): void {
    if (!this.#readers.delete(onChange) || this.#readers.size > 0) return
    this.onEmpty()
    this.#viewer?.close()
  }

  /** What comes after `seq`. LOST: the database has lost it. DROPPED: it is not kept any more. */
  async pageAfter(seq: number): Promise<RuntimeLogEntry[] | 'LOST' | 'DROPPED'> {
    if (seq === this.#newest && !this.#isLost) await this.#readMore()
    if (seq < this.#newest) {
      const start = seq + 1 - (this.#ring[0]?.seq ?? 0)
      return start < 0 ? 'DROPPED' : this.#ring.slice(start, start + UNREAD_CHUNKS)
    }
    return this.#isLost ? 'LOST' : []
  }

  /** Where the feed stands, when it has read what is there. Null: it has not begun, or what is there never ends. */
  async standing(): Promise<Standing | null> {
    for (let pages = 0; (await this.#readMore()) === UNREAD_CHUNKS; pages++) {
      if (pages === PAGES_AT_ONCE) return null
    }
    const last = this.#ring.at(-1)
    if (last) return { seq: last.seq, places: last.places }
    const places = await readBeginning(this.source.database, this.id)
    return this.#newest === 0 && places && places.length > 0 ? { seq: 0, places } : null
  }

  /** One read for all who want more at the same time; gives how many chunks it found. */
  #readMore(): Promise<number> {
    this.#reading ??= this.#read().finally(() => (this.#reading = null))
    return this.#reading
  }

  async #read(): Promise<number> {
    const page = await this.#viewer?.page()
    if (!page) this.#isLost = true
    const entries = page?.entries ?? []
    this.#beginning ??= this.start.places ?? beginningOf(entries[0])
    for (const entry of entries) {
      this.#ring.push(entry)
      this.#ringLength += CHUNK_COST + entry.text.length
      this.#newest = entry.seq
    }
    while (this.#ringLength > RING_LENGTH && this.#ring.length > UNREAD_CHUNKS) {
      this.#ringLength -= CHUNK_COST + (this.#ring.shift()?.text.length ?? 0)
    }
    if (entries.length > 0 || this.#isLost) this.#wake()
    return entries.length
  }

  #wake(): void {
    for (const wake of this.#readers) wake()
  }
}

function beginningOf(first: RuntimeLogEntry | undefined): readonly DeploymentPosition[] | null {
  const place = first?.places.at(-1)
  return place ? [{ ...place, shown: {} }] : null
}

/** By the database that a process has, then by stage. */
const FEEDS = new WeakMap<DataSource, Map<string, Promise<SharedFeed>>>()

function feedsOf(database: DataSource): Map<string, Promise<SharedFeed>> {
  const feeds = FEEDS.get(database) ?? new Map<string, Promise<SharedFeed>>()
  FEEDS.set(database, feeds)
  return feeds
}
