import type { Logger } from '../../logger.js'
import type { Topic, Wakeups } from './wakeups.js'

/** What is run, and how often without being asked for. */
export interface PeriodicWork {
  /** As the log names it. */
  readonly title: string
  readonly everyMs: number
  readonly run: () => Promise<void>
}

interface Dependencies {
  readonly wakeups: Wakeups
  readonly logger: Logger
}

/**
 * A task that runs every so often, after a wake-up, and when asked to; never twice at the same time. A run that fails is
 * logged, and the next one tries again.
 */
export class PeriodicTask implements AsyncDisposable {
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | null = null
  #again = false
  #stopped = false
  #unsubscribes: (() => void)[] = []

  constructor(
    private readonly work: PeriodicWork,
    private readonly dependencies: Dependencies,
  ) {}

  /** The first run begins at once. Wake-ups about one of `topics` ask for another. */
  start(...topics: readonly Topic[]): void {
    const { wakeups } = this.dependencies
    this.#unsubscribes = topics.map((topic) => wakeups.on(topic, () => this.runNow()))
    this.#timer = setInterval(() => this.runNow(), this.work.everyMs)
    this.runNow()
  }

  /** Begins a run, or another one after that under way. */
  runNow(): void {
    if (this.#stopped) return
    this.#again = this.#running !== null
    this.#running ??= this.#runAll()
  }

  /** Waits for the run under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    for (const unsubscribe of this.#unsubscribes) unsubscribe()
    clearInterval(this.#timer)
    await this.#running
  }

  async #runAll(): Promise<void> {
    do {
      this.#again = false
      try {
        await this.work.run()
      } catch (error) {
        const { message } = error as Error
        this.dependencies.logger.warn(`${this.work.title} failed; retrying`, { error: message })
      }
    } while (this.#again && !this.#stopped)
    this.#running = null
  }
}
