import type { DataSource } from 'typeorm'
import type { Logger } from '../../logger.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import type { Wakeups } from '../wakeups/wakeups.js'
import { logWaiting } from '../queue/claim.js'

const EVERY_MS = 5_000
/** A worker that says nothing for this long counts as away. */
export const WORKER_SECONDS = 15
/** By this a reason is known, whichever process gave it, and whenever that saw the last worker. */
const NO_WORKER = 'no worker has been seen since '

interface Dependencies {
  readonly database: DataSource
  readonly wakeups: Wakeups
  readonly logger: Logger
}

interface Sighting {
  readonly seen: Date | null
  readonly now: Date
}

/**
 * Says in the logs of waiting deployments that no worker lives, once, and since when; any API process does it, as no worker
 * can. Who asks for work is told within 5 s after a worker has been away for 15 s.
 */
export class WorkerAbsence implements AsyncDisposable {
  readonly #task: PeriodicTask
  /** When a worker was last known to live; at first when this process began to look. By the database's clock. */
  #seen: Date | null = null
  #isAway = false

  constructor(
    private readonly dependencies: Dependencies,
    everyMs = EVERY_MS,
  ) {
    const work = { title: 'the check for workers', everyMs, run: () => this.runOnce() }
    this.#task = new PeriodicTask(work, dependencies)
  }

  start(): void {
    this.#task.start('queue')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#task[Symbol.asyncDispose]()
  }

  /** Since when no worker has been seen, in a sentence's form. Null: one lives, or has been away for a moment only. */
  get message(): string | null {
    return this.#isAway && this.#seen ? `${NO_WORKER}${this.#seen.toISOString()}` : null
  }

  async runOnce(): Promise<void> {
    const [look] = await this.dependencies.database.query<Sighting[]>(
      'SELECT max(seen_at) AS seen, now() AS now FROM worker',
    )
    if (!look) return
    const lives = look.seen !== null && secondsBetween(look.seen, look.now) < WORKER_SECONDS
    const known = [this.#seen, look.seen].filter((time) => time !== null)
    const last = known.sort((one, other) => other.getTime() - one.getTime())[0]
    this.#seen = lives || !last ? look.now : last
    this.#isAway = secondsBetween(this.#seen, look.now) >= WORKER_SECONDS
    const { message } = this
    if (message === null) return
    const advice = `${message}. Start one (ROLES=worker), or find out why it exited; the deployment then starts automatically.`
    await logWaiting(this.dependencies, advice, NO_WORKER)
  }
}

function secondsBetween(earlier: Date, later: Date): number {
  return (later.getTime() - earlier.getTime()) / 1000
}
