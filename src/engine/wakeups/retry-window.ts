/** A reader of the database retries this long: a restart or a change of the server is shorter. */
const RETRY_WINDOW_MS = 60_000

/**
 * Retries the reads of a subscription for a limited time: clients do not subscribe again by themselves, so that a short loss
 * of the database must not end what they follow. The caller reads again and again; each success opens the window anew.
 */
export class RetryWindow {
  #since: number | null = null

  /** @param isOver whether nobody waits for what is read any more: then no error is theirs */
  constructor(
    private readonly isOver: () => boolean,
    private readonly windowMs = RETRY_WINDOW_MS,
  ) {}

  /** What `read` gives, or `otherwise` where it fails. @throws its error, when reads have failed for the whole window */
  async run<T, const U>(read: () => Promise<T>, otherwise: U): Promise<T | U> {
    try {
      const found = await read()
      this.#since = null
      return found
    } catch (error) {
      this.#since ??= performance.now()
      if (!this.isOver() && performance.now() - this.#since >= this.windowMs) throw error
      return otherwise
    }
  }
}
