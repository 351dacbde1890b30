import type { DataSource } from 'typeorm'
import { badInput, CommandError } from '../errors.js'
import { createId } from '../names.js'
import { RetryWindow } from '../wakeups/retry-window.js'
import { ManualResetEvent } from '../wakeups/manual-reset-event.js'
import type { Wakeups } from '../wakeups/wakeups.js'
import { deleteViewer, insertViewer, readOn, renewViewer, type RuntimeLogEntry } from './store.js'

const MAX_TAIL = 10_000
/** A wake-up that was lost is made up for after this. */
const POLL_MS = 2_000
/** A viewer that says nothing for 15 s is taken for gone. */
const RENEW_MS = 5_000

const IS_THERE = `SELECT 1 FROM stage s JOIN app a ON a.id = s.app_id WHERE s.id = $1 AND a.deleted_at IS NULL`

/** Where chunks come, and who says so. */
export interface RuntimeLogSource {
  readonly database: DataSource
  readonly wakeups: Wakeups
}

/**
 * Begins to read what a stage's containers write: its last `tail` lines, then each line as it comes.
 *
 * @throws CommandError NOT_FOUND, BAD_USER_INPUT
 */
export async function openRuntimeLog(
  source: RuntimeLogSource,
  stageId: string,
  tail: number,
): Promise<RuntimeLogReader> {
  const { database, wakeups } = source
  if (tail < 0 || tail > MAX_TAIL) throw badInput('tail', `must be a number of lines from 0 to ${MAX_TAIL}`)
  if ((await database.query<unknown[]>(IS_THERE, [stageId])).length === 0) {
    throw new CommandError('NOT_FOUND', `there is no stage ${stageId}`, 'stageId')
  }
  const id = createId()
  await insertViewer(database, { id, stageId, tail })
  wakeups.viewersChanged()
  return new RuntimeLogReader(source, id, stageId)
}

/**
 * A viewer's side of a runtime log. Completes when the stage is deleted. When the database has lost the viewer's place
 * (it crashed, or this process was asleep for 15 s) the last thing it gives is the error that says so.
 *
 * Pull only; an iterator object, so that `return()` ends a wait at once. Must be read to its end or returned.
 */
export class RuntimeLogReader implements AsyncIterableIterator<RuntimeLogEntry | CommandError> {
  readonly #stopListening: () => void
  readonly #renewing: NodeJS.Timeout
  #page: (RuntimeLogEntry | CommandError)[] = []
  /** What has been given out, and had left this process by the time the next one was asked for. */
  #lastSeq = 0
  #readSeq = 0
  #done = false
  readonly #changed = new ManualResetEvent()
  readonly #retryWindow = new RetryWindow(() => this.#done)

  constructor(
    private readonly source: RuntimeLogSource,
    private readonly id: string,
    private readonly stageId: string,
  ) {
    const { database, wakeups } = source
    this.#stopListening = wakeups.on('output', (of) => {
      if (of !== '' && of !== id) return
      this.#changed.set()
    })
    this.#renewing = setInterval(() => void renewViewer(database, id).catch(() => undefined), RENEW_MS)
    this.#renewing.unref()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<RuntimeLogEntry | CommandError>> {
    try {
      while (!this.#done && this.#page.length === 0) await this.#fill()
    } catch (error) {
      this.#finish()
      throw error
    }
    const entry = this.#done ? undefined : this.#page.shift()
    if (!entry) return { done: true, value: undefined }
    if (entry instanceof CommandError) this.#finish()
    else this.#lastSeq = entry.seq
    return { done: false, value: entry }
  }

  return(): Promise<IteratorResult<RuntimeLogEntry | CommandError>> {
    this.#finish()
    return Promise.resolve({ done: true, value: undefined })
  }

  #finish(): void {
    if (this.#done) return
    this.#done = true
    clearInterval(this.#renewing)
    this.#stopListening()
    this.#changed.set()
    // A row that stays behind expires.
    void deleteViewer(this.source.database, this.id).catch(() => undefined)
  }

  async #fill(): Promise<void> {
    this.#changed.clear() // before the read: a change during it must not be slept through
    await this.#retryWindow.run(() => this.#read(), undefined)
    if (!this.#done && this.#page.length === 0) await this.#changed.wait(POLL_MS)
  }

  /** What it reads is there until the next read says that it was read: one that fails half-way loses nothing. */
  async #read(): Promise<void> {
    const page = await readOn(this.source.database, this.id, this.#lastSeq)
    if (this.#lastSeq > this.#readSeq) this.source.wakeups.outputRead(this.id)
    this.#readSeq = this.#lastSeq
    if (page && page.length > 0) this.#page = page
    else if (!(await this.#isThere())) this.#finish()
    else if (!page) this.#page = [LOST]
  }

  async #isThere(): Promise<boolean> {
    return (await this.source.database.query<unknown[]>(IS_THERE, [this.stageId])).length > 0
  }
}

const LOST = new CommandError('CONFLICT', 'the database has lost how far you had read: subscribe again')
