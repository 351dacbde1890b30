import type { Logger } from '../../logger.js'
import type { Topic, Wakeups } from './wakeups.js'

/**
 * Work that is done again and again: every so often, after a wake-up, and when asked to; never twice at the same time.
 * A round that fails is said in the server's log, and the next one tries again.
 */
export class Rounds implements AsyncDisposable {
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | null = null
  #again = false
  #stopped = false
  #unsubscribes: (() => void)[] = []

  constructor(
    private readonly title: string,
    private readonly everyMs: number,
    private readonly round: () => Promise<void>,
    private readonly logger: Logger,
  ) {}

  /** The first round begins at once. Wake-ups about one of `topics` ask for another. */
  start(wakeups: Wakeups | null = null, ...topics: readonly Topic[]): void {
    this.#unsubscribes = topics.map((topic) => wakeups?.on(topic, () => this.now()) ?? (() => undefined))
    this.#timer = setInterval(() => this.now(), this.everyMs)
    this.now()
  }

  /** Begins a round, or another one after that under way. */
  now(): void {
    if (this.#stopped) return
    this.#again = this.#running !== null
    this.#running ??= this.#run()
  }

  /** Waits for the round under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    for (const unsubscribe of this.#unsubscribes) unsubscribe()
    clearInterval(this.#timer)
    await this.#running
  }

  async #run(): Promise<void> {
    do {
      this.#again = false
      try {
        await this.round()
      } catch (error) {
        this.logger.warn(`${this.title} failed; trying again`, { error: (error as Error).message })
      }
    } while (this.#again && !this.#stopped)
    this.#running = null
  }
}
