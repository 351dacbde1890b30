import { setTimeout as sleep } from 'node:timers/promises'
import type { DeploymentPosition, StreamPosition } from '../../entities/runtime-log-viewer.js'
import { CHUNK_BYTES } from '../logs/store.js'
import type { Queryable } from '../sql/queryable.js'
import {
  appendChunks,
  type ClaimedViewer,
  type PlacedLog,
  readCounts,
  type RuntimeLogInput,
  UNREAD_CHUNKS,
} from './store.js'

/** Lines gather in a chunk no longer than this: it has one time. */
const CHUNK_SPAN_MS = 100
/** More than this unwritten and nothing more is taken from the Docker engine. UTF-16 units … */
const MAX_PENDING_LENGTH = 256 * 1024
/** … with so many for a chunk itself: a container that writes to both streams in turn fills one with each line. */
const CHUNK_COST = 256
/** A wake-up that was lost is made up for after this. */
const POLL_MS = 2_000
const RETRY_MS = 500

/** One stream of a container, as a place names it, and how far a viewer has been shown it. */
export interface Shown {
  readonly key: string
  readonly position: StreamPosition
}

/** Where chunks are stored, and who is told. */
export interface OutboxTarget {
  readonly database: Queryable
  readonly announce: () => void
}

/**
 * What is on its way to one viewer. Chunks and the place in the containers' logs are stored together, under the
 * claim's epoch: whoever goes on after this worker goes on exactly behind the last stored line.
 *
 * At most 64 chunks are stored and unread. Beyond that {@link untilRoom} waits.
 */
export class Outbox {
  #pending: PlacedLog[] = []
  #pendingLength = 0
  /** Of the last chunk that is pending. */
  #lastBytes = 0
  #places: readonly DeploymentPosition[] | null
  #isPlaceNew = false
  #lastSeq: number
  #readSeq: number
  #wakes = new Set<() => void>()

  constructor(
    private readonly target: OutboxTarget,
    private readonly viewer: ClaimedViewer,
    private readonly signal: AbortSignal,
  ) {
    this.#places = viewer.places
    this.#lastSeq = viewer.lastSeq
    this.#readSeq = viewer.readSeq
    signal.addEventListener('abort', () => this.wake(), { once: true })
  }

  /** Where the viewer stands with all that was added; null: nothing has begun. */
  get places(): readonly DeploymentPosition[] | null {
    return this.#places
  }

  /** Goes on elsewhere after what was added. */
  moveTo(places: readonly DeploymentPosition[]): void {
    this.#places = places
    this.#isPlaceNew = true
    this.wake()
  }

  /** A stream has been shown further than the last line that was added of it. */
  advance(deploymentId: string, shown: Shown): void {
    this.moveTo(advanced(this.#places ?? [], deploymentId, shown))
  }

  /** Adds a line. `shown`: how far its stream has been shown with it; null: not to a point from which one could go on. */
  add(line: RuntimeLogInput, shown: Shown | null): void {
    if (shown) this.#places = advanced(this.#places ?? [], line.deploymentId, shown)
    const places = this.#places ?? []
    const last = this.#pending.at(-1)
    const bytes = Buffer.byteLength(line.text)
    if (last && this.#lastBytes + bytes <= CHUNK_BYTES && joins(last, line)) {
      this.#lastBytes += bytes
      this.#pending[this.#pending.length - 1] = { ...last, text: last.text + line.text, places }
    } else {
      this.#pending.push({ ...line, places })
      this.#lastBytes = bytes
      this.#pendingLength += CHUNK_COST
    }
    this.#pendingLength += line.text.length
    this.wake()
  }

  async untilRoom(): Promise<void> {
    while (this.#pendingLength > MAX_PENDING_LENGTH && !this.signal.aborted) await this.#changed()
  }

  /** Waits until all that was added is stored. Resolves earlier when the signal aborts. */
  async untilStored(): Promise<void> {
    while ((this.#pendingLength > 0 || this.#isPlaceNew) && !this.signal.aborted) await this.#changed()
  }

  /** The viewer may have read something. */
  wake(): void {
    for (const wake of [...this.#wakes]) wake()
  }

  /** Stores what is added until the signal aborts. Resolves earlier when the claim is lost. */
  async run(): Promise<void> {
    while (!this.signal.aborted) {
      if (this.#pending.length === 0 && !this.#isPlaceNew) await this.#changed()
      else if (!(await this.#storeSome())) return
    }
  }

  /** False: the claim is lost, or the signal has aborted. */
  async #storeSome(): Promise<boolean> {
    const room = await this.#retried(() => this.#room())
    if (room === null) return false
    // Lines that come during the insert begin a chunk of their own, and what is tried again is the same.
    const chunks = this.#pending.splice(0, room)
    const isAll = this.#pending.length === 0
    const places = (isAll ? this.#places : chunks.at(-1)?.places) ?? []
    if (isAll) this.#isPlaceNew = false
    if (!(await this.#retried(() => this.#store(chunks, places)))) return false
    this.#lastSeq += chunks.length
    this.#pendingLength -= chunks.reduce((sum, chunk) => sum + CHUNK_COST + chunk.text.length, 0)
    if (chunks.length > 0) this.target.announce()
    this.wake()
    return true
  }

  async #store(chunks: readonly PlacedLog[], places: readonly DeploymentPosition[]): Promise<boolean> {
    if (await appendChunks(this.target.database, this.viewer, { lastSeq: this.#lastSeq, chunks, places }))
      return true
    // A connection that broke after COMMIT was sent: under one epoch there is one writer, so the number tells.
    const counts = await readCounts(this.target.database, this.viewer)
    return counts?.lastSeq === this.#lastSeq + chunks.length
  }

  /** Waits for a database that is away. Null: the signal has aborted. */
  async #retried<T>(work: () => Promise<T>): Promise<T | null> {
    while (!this.signal.aborted) {
      try {
        return await work()
      } catch {
        await sleep(RETRY_MS, undefined, { signal: this.signal }).catch(() => undefined)
      }
    }
    return null
  }

  /** How many chunks may be stored now, at least one. Null: the claim is lost. */
  async #room(): Promise<number | null> {
    for (;;) {
      const room = UNREAD_CHUNKS - (this.#lastSeq - this.#readSeq)
      if (room > 0) return room
      const changed = this.#changed(POLL_MS) // before the read: a change during it must not be slept through
      const counts = await readCounts(this.target.database, this.viewer)
      if (!counts || this.signal.aborted) return null
      if (counts.readSeq === this.#readSeq) await changed
      this.#readSeq = counts.readSeq
    }
  }

  #changed(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => wake(), ms)
      const wake = () => {
        clearTimeout(timer)
        this.#wakes.delete(wake)
        resolve()
      }
      this.#wakes.add(wake)
      if (this.signal.aborted) wake()
    })
  }
}

function joins(chunk: RuntimeLogInput, line: RuntimeLogInput): boolean {
  return (
    chunk.deploymentId === line.deploymentId &&
    chunk.stream === line.stream &&
    Math.abs(line.at.getTime() - chunk.at.getTime()) <= CHUNK_SPAN_MS
  )
}

function advanced(
  places: readonly DeploymentPosition[],
  deploymentId: string,
  { key, position }: Shown,
): readonly DeploymentPosition[] {
  return places.map((place) =>
    place.deploymentId === deploymentId ? { ...place, shown: { ...place.shown, [key]: position } } : place,
  )
}
