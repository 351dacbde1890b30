import type { DataSource } from 'typeorm'
import { badInput, CommandError } from '../command-error.js'
import { createId } from '../names.js'
import { decodePlaces } from './cursor.js'
import { PullIterator } from '../wakeups/pull-iterator.js'
import type { Wakeups } from '../wakeups/wakeups.js'
import { deleteViewer, insertViewer, readOn, renewViewer, type RuntimeLogEntry } from './store.js'

/** The most lines that a log may begin with. */
export const MAX_TAIL = 10_000
/** A viewer that says nothing for 15 s is taken for gone. */
const RENEW_MS = 5_000

const IS_THERE = `SELECT 1 FROM stage s JOIN app a ON a.id = s.app_id WHERE s.id = $1 AND a.deleted_at IS NULL`

/** Where chunks come, and who says so. */
export interface RuntimeLogSource {
  readonly database: DataSource
  readonly wakeups: Wakeups
}

/** Where a runtime log begins. */
export interface RuntimeLogStart {
  /** So many of the last lines first. */
  readonly tail: number
  /** Instead: behind the event that had this cursor. */
  readonly after?: string | null
}

const ARE_OF_STAGE = `SELECT 1 FROM unnest($1::text[]) AS given (id)
  WHERE NOT EXISTS (SELECT 1 FROM deployment d WHERE d.id = given.id AND d.stage_id = $2)`

/**
 * Begins to read what a stage's containers write: its last `tail` lines, or what comes after a cursor, then each line as it
 * comes.
 *
 * @throws CommandError NOT_FOUND, BAD_USER_INPUT
 */
export async function openRuntimeLog(
  source: RuntimeLogSource,
  stageId: string,
  { tail, after = null }: RuntimeLogStart,
): Promise<RuntimeLogReader> {
  const { database, wakeups } = source
  const places = after === null ? null : decodePlaces(after)
  if (tail < 0 || tail > MAX_TAIL) throw badInput('tail', `must be a number of lines from 0 to ${MAX_TAIL}`)
  if ((await database.query<unknown[]>(IS_THERE, [stageId])).length === 0) {
    throw new CommandError('NOT_FOUND', `there is no stage ${stageId}`, 'stageId')
  }
  const ids = (places ?? []).map(({ deploymentId }) => deploymentId)
  const foreign = await database.query<unknown[]>(ARE_OF_STAGE, [ids, stageId])
  if (foreign.length > 0)
    throw badInput('after', 'is a cursor of another stage, or of deployments that are gone')
  const id = createId()
  await insertViewer(database, { id, stageId, tail, places })
  wakeups.viewersChanged()
  return new RuntimeLogReader(source, id, stageId)
}

/**
 * A viewer's side of a runtime log. Completes when the stage is deleted. When the database has lost the viewer's place
 * (it crashed, or this process was asleep for 15 s) the last thing it gives is the error that says so.
 */
export class RuntimeLogReader extends PullIterator<RuntimeLogEntry | CommandError> {
  readonly #stopListening: () => void
  readonly #renewing: NodeJS.Timeout
  /** What has been given out, and had left this process by the time the next one was asked for. */
  #lastSeq = 0
  #readSeq = 0

  constructor(
    private readonly source: RuntimeLogSource,
    private readonly id: string,
    private readonly stageId: string,
  ) {
    super()
    const { database, wakeups } = source
    this.#stopListening = wakeups.on('output', (of) => {
      if (of !== '' && of !== id) return
      this.wake()
    })
    this.#renewing = setInterval(() => void renewViewer(database, id).catch(() => undefined), RENEW_MS)
    this.#renewing.unref()
  }

  protected give(entry: RuntimeLogEntry | CommandError): boolean {
    if (entry instanceof CommandError) return true
    this.#lastSeq = entry.seq
    return false
  }

  protected release(): void {
    clearInterval(this.#renewing)
    this.#stopListening()
    // A row that stays behind expires.
    void deleteViewer(this.source.database, this.id).catch(() => undefined)
  }

  /** What it reads is there until the next read says that it was read: one that fails half-way loses nothing. */
  protected async read(): Promise<(RuntimeLogEntry | CommandError)[]> {
    const page = await readOn(this.source.database, this.id, this.#lastSeq)
    if (this.#lastSeq > this.#readSeq) this.source.wakeups.outputRead(this.id)
    this.#readSeq = this.#lastSeq
    if (page && page.length > 0) return page
    if (await this.#isThere()) return page ?? [LOST]
    this.finish()
    return []
  }

  async #isThere(): Promise<boolean> {
    return (await this.source.database.query<unknown[]>(IS_THERE, [this.stageId])).length > 0
  }
}

const LOST = new CommandError('CONFLICT', 'the database has lost how far you had read: subscribe again')
