import type { Logger } from '../logger.js'

const PERIOD_MS = 60_000

/** A warning about what may happen thousands of times a second: logged at once, and then once a minute with a count. */
export class ThrottledLog {
  #times = 0
  #latest: Readonly<Record<string, unknown>> = {}
  #timer: NodeJS.Timeout | null = null

  constructor(
    private readonly logger: Logger,
    private readonly message: string,
    private readonly periodMs = PERIOD_MS,
  ) {}

  warn(fields: Readonly<Record<string, unknown>>): void {
    this.#times += 1
    this.#latest = fields
    if (!this.#timer) this.#write()
  }

  #write(): void {
    this.#timer = null
    if (this.#times === 0) return
    this.logger.warn(this.message, { ...this.#latest, times: this.#times })
    this.#times = 0
    this.#timer = setTimeout(() => this.#write(), this.periodMs).unref()
  }
}
