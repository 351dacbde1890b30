import { ManualResetEvent } from './manual-reset-event.js'
import { RetryWindow } from './retry-window.js'

/** A wake-up that was lost is made up for after this. */
const POLL_MS = 2_000

/** A reader that others of the same subject can take the place of, where they stand at the same position. */
export interface Shareable<T> extends PullIterator<T> {
  /** What is read. */
  readonly subject: string
  /** What was given out so far, of the pages asked for: from equal ones on two readers give the same. */
  position(): string
  /** Another reader that goes on from here. */
  fork(): Shareable<T>
  /** How many watch through this one. */
  shownTo(viewers: number): void
}

export function isShareable<T>(reader: PullIterator<T>): reader is Shareable<T> {
  return 'fork' in reader
}

/**
 * Gives what the database has, entry by entry, and then what comes: the way of every log and every change to whoever
 * follows it. A reader says how it reads its next entries, which entry is the last, and what it holds.
 *
 * Pull only: nothing is read before it is asked for, so a viewer that stops reading costs one page. An iterator
 * object and not an `async function*`, whose `return()` would wait in line behind the entry that it is to give up.
 * One asks at a time; it must be read to its end or returned.
 */
export abstract class PullIterator<T> implements AsyncIterableIterator<T> {
  #ready: T[] = []
  #isDone = false
  #isUpToDate = false
  readonly #changed = new ManualResetEvent()
  readonly #retryWindow = new RetryWindow(() => this.#isDone)

  /** What comes next; nothing, when there is nothing yet. One that fails is tried again for a while. */
  protected abstract read(): Promise<T[]>

  /** Called with each entry before it is given out. Whether it is the last one. @throws what the viewer gets instead */
  protected abstract give(entry: T): boolean

  /** Lets go of all that it holds. Called once. */
  protected abstract release(): void

  [Symbol.asyncIterator](): this {
    return this
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** All that one read has found, for who takes a page at once; nothing when it is done. */
  async nextPage(): Promise<T[]> {
    try {
      while (!this.#isDone && this.#ready.length === 0) await this.#fill()
      const page = this.#isDone ? [] : this.#ready.splice(0)
      for (const entry of page) if (this.give(entry)) this.finish()
      return page
    } catch (error) {
      this.finish()
      throw error
    }
  }

  async next(): Promise<IteratorResult<T>> {
    try {
      while (!this.#isDone && this.#ready.length === 0) await this.#fill()
      const entry = this.#isDone ? undefined : this.#ready.shift()
      if (entry === undefined) return { done: true, value: undefined }
      if (this.give(entry)) this.finish()
      return { done: false, value: entry }
    } catch (error) {
      this.finish()
      throw error
    }
  }

  /** Ends it, and a wait under way at once. */
  return(): Promise<IteratorResult<T>> {
    this.finish()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** What is being read is all there is: whatever comes after it has a wake-up, so the next read waits for one. */
  protected foundAll(): void {
    this.#isUpToDate = true
  }

  /** There is something to read, perhaps. */
  protected wake(): void {
    this.#changed.set()
  }

  /** Nothing is given out any more. */
  protected finish(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#changed.set()
    this.release()
  }

  async #fill(): Promise<void> {
    if (this.#isUpToDate) await this.#changed.wait(POLL_MS)
    if (this.#isDone) return
    this.#isUpToDate = false
    this.#changed.clear() // before the read: a change during it must not be slept through
    this.#ready = await this.#retryWindow.run(() => this.read(), [])
    if (this.#ready.length === 0) this.foundAll()
  }
}
