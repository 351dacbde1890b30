import type { DeploymentPosition } from '../../entities/runtime-log-viewer.js'
import { badInput, CommandError } from '../command-error.js'
import { PullIterator, type Shareable } from '../wakeups/pull-iterator.js'
import { createId } from '../names.js'
import { decodePlaces } from './cursor.js'
import { SharedFeed, type Standing } from './shared-feed.js'
import type { RuntimeLogEntry } from './store.js'
import { type RuntimeLogSource, StoredViewer, type ViewerStart } from './stored-viewer.js'
import { isUpTo, positionIn } from './positions.js'

/** The most lines that a log may begin with. */
export const MAX_TAIL = 10_000

/** Who reads by itself looks no more often whether it can share. */
const JOIN_AGAIN_MS = 1_000

const IS_THERE = `SELECT 1 FROM stage s JOIN app a ON a.id = s.app_id WHERE s.id = $1 AND a.deleted_at IS NULL`

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
  const { database } = source
  const places = after === null ? null : decodePlaces(after)
  if (tail < 0 || tail > MAX_TAIL) throw badInput('tail', `must be a number of lines from 0 to ${MAX_TAIL}`)
  if ((await database.query<unknown[]>(IS_THERE, [stageId])).length === 0) {
    throw new CommandError('NOT_FOUND', `there is no stage ${stageId}`, 'stageId')
  }
  const ids = (places ?? []).map(({ deploymentId }) => deploymentId)
  const foreign = await database.query<unknown[]>(ARE_OF_STAGE, [ids, stageId])
  if (foreign.length > 0)
    throw badInput('after', 'is a cursor of another stage, or of deployments that are gone')
  return RuntimeLogReader.open(source, { stageId, tail, places, until: null })
}

/** How a reader gets what it gives. */
type Way =
  /** From the shared feed: it has given what comes up to `seq`. */
  | { readonly kind: 'shared'; seq: number }
  /** From a viewer of its own, then from the shared feed after `joinsAt`. Null: its own does not end. */
  | { readonly kind: 'own'; readonly viewer: StoredViewer; readonly joinsAt: Standing | null }
  /** It has to begin with a viewer of its own. */
  | { readonly kind: 'behind' }

/**
 * A viewer's side of a runtime log. The viewers of a stage in a process share a feed: one that comes later is first shown
 * what was written up to where that stands, by a viewer of its own that ends there, and so is one that has fallen behind.
 *
 * Completes when the stage is deleted. When the database has lost the viewer's place (it crashed, or this process was
 * asleep for 15 s) the last thing it gives is the error that says so.
 */
export class RuntimeLogReader
  extends PullIterator<RuntimeLogEntry | CommandError>
  implements Shareable<RuntimeLogEntry | CommandError>
{
  readonly subject: string
  readonly #onChange = () => this.wake()
  /** No other reader stands where it does while it reads by itself. */
  readonly #ownPosition = createId()
  #way: Way = { kind: 'behind' }
  #joinsAfter = 0
  /** Up to where it has been shown the stage's output. Null: it has been shown nothing. */
  #places: readonly DeploymentPosition[] | null

  private constructor(
    private readonly source: RuntimeLogSource,
    private readonly start: ViewerStart,
    private feed: SharedFeed | null,
  ) {
    super()
    this.subject = `output of stage ${start.stageId}`
    this.#places = start.places
    this.feed?.enter(this.#onChange)
  }

  static async open(source: RuntimeLogSource, start: ViewerStart): Promise<RuntimeLogReader> {
    const reader = new RuntimeLogReader(source, start, null)
    try {
      reader.feed = await SharedFeed.of(source, start, reader.#onChange)
      // As the feed does, where nobody has read of it.
      if (reader.feed.begins(start)) reader.#way = { kind: 'shared', seq: 0 }
      else await reader.#begin()
      return reader
    } catch (error) {
      reader.finish()
      throw error
    }
  }

  position(): string {
    return this.#way.kind === 'shared' ? `${this.feed?.id}:${this.#way.seq}` : this.#ownPosition
  }

  fork(): RuntimeLogReader {
    const fork = new RuntimeLogReader(this.source, { ...this.start, places: this.#places }, this.feed)
    if (this.#way.kind === 'shared') fork.#way = { ...this.#way }
    return fork
  }

  shownTo(): void {
    // A container does not wait for those who watch.
  }

  protected give(entry: RuntimeLogEntry | CommandError): boolean {
    if (entry instanceof CommandError) return true
    this.#places = entry.places
    if (this.#way.kind === 'shared') this.#way.seq = entry.seq
    return false
  }

  protected release(): void {
    this.feed?.leave(this.#onChange)
    if (this.#way.kind === 'own') this.#way.viewer.close()
  }

  protected async read(): Promise<(RuntimeLogEntry | CommandError)[]> {
    if (this.#way.kind === 'behind') await this.#begin()
    const way = this.#way
    if (way.kind === 'own') return this.#readOwn(way)
    if (way.kind === 'behind') return []
    const entries = (await this.feed?.pageAfter(way.seq)) ?? 'LOST'
    if (entries === 'LOST') return this.#lost()
    if (entries !== 'DROPPED') return entries.length > 0 ? entries : this.#nothing()
    this.#way = { kind: 'behind' }
    this.#places ??= this.feed?.beginning ?? null
    return this.read()
  }

  async #readOwn({ viewer, joinsAt }: Way & { kind: 'own' }): Promise<(RuntimeLogEntry | CommandError)[]> {
    if (joinsAt === null && (await this.#joinsNow(viewer))) return this.read()
    const page = await viewer.page()
    if (!page) return this.#lost()
    if (page.entries.length > 0) return page.entries
    if (joinsAt === null || !page.hasEnded) return this.#nothing()
    viewer.close()
    this.#join(joinsAt)
    return this.read()
  }

  /** From where the feed stands, after what comes before that. */
  async #begin(): Promise<void> {
    const joinsAt = await this.#standing()
    if (joinsAt && !this.#places && this.start.tail === 0) this.#join(joinsAt)
    else await this.#beginOwn(joinsAt)
  }

  /** Where the feed stands; null, where it cannot be told that it is ahead of what this one was shown. */
  async #standing(): Promise<Standing | null> {
    const standing = (await this.feed?.standing()) ?? null
    return standing !== null && isAhead(standing, this.#places) ? standing : null
  }

  /** One that had to begin by itself joins the feed as soon as that is ahead of what it has been shown. */
  async #joinsNow(viewer: StoredViewer): Promise<boolean> {
    if (!this.#places || performance.now() < this.#joinsAfter) return false
    this.#joinsAfter = performance.now() + JOIN_AGAIN_MS
    const standing = await this.#standing()
    if (!standing) return false
    await this.#beginOwn(standing)
    viewer.close()
    return true
  }

  #join({ seq, places }: Standing): void {
    this.#way = { kind: 'shared', seq }
    this.#places = places
  }

  /** Null: without an end, for as long as that is so. */
  async #beginOwn(joinsAt: Standing | null): Promise<void> {
    const until = joinsAt?.places.at(-1) ?? null
    const start = { ...this.start, places: this.#places, until }
    const viewer = await StoredViewer.open(this.source, start, this.#onChange)
    if (this.isDone) return viewer.close()
    this.#way = { kind: 'own', viewer, joinsAt }
  }

  async #lost(): Promise<CommandError[]> {
    if (await this.#isThere()) return [LOST]
    this.finish()
    return []
  }

  async #nothing(): Promise<never[]> {
    if (!(await this.#isThere())) this.finish()
    return []
  }

  async #isThere(): Promise<boolean> {
    return (await this.source.database.query<unknown[]>(IS_THERE, [this.start.stageId])).length > 0
  }
}

/** Whether a feed has read all that somebody has been shown who stands at `places`. */
function isAhead({ places: reached }: Standing, places: readonly DeploymentPosition[] | null): boolean {
  if (places === null) return true
  if (reached.at(-1)?.deploymentId !== places.at(-1)?.deploymentId) return false
  return places.every((place) => {
    const other = reached.find(({ deploymentId }) => deploymentId === place.deploymentId)
    return other !== undefined && isPlaceUpTo(other, place)
  })
}

function isPlaceUpTo(reached: DeploymentPosition, { shown }: DeploymentPosition): boolean {
  return Object.entries(shown).every(([key, position]) => isUpTo(positionIn(reached, key), position))
}

const LOST = new CommandError('CONFLICT', 'the database has lost how far you had read: subscribe again')
