import type { Logger } from '../../logger.js'
import type { Topic, Wakeups } from './wakeups.js'

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
    private readonly title: string,
    private readonly everyMs: number,
    private readonly run: () => Promise<void>,
    private readonly logger: Logger,
  ) {}

  /** The first run begins at once. Wake-ups about one of `topics` ask for another. */
  start(wakeups: Wakeups | null = null, ...topics: readonly Topic[]): void {
    this.#unsubscribes = topics.map((topic) => wakeups?.on(topic, () => this.runNow()) ?? (() => undefined))
    this.#timer = setInterval(() => this.runNow(), this.everyMs)
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
        await this.run()
      } catch (error) {
        this.logger.warn(`${this.title} failed; retrying`, { error: (error as Error).message })
      }
    } while (this.#again && !this.#stopped)
    this.#running = null
  }
}
