/** So long a reader of the database bears nothing but failures: a restart or a change of the server is shorter. */
const PATIENCE_MS = 60_000

/**
 * Lets somebody who reads on and on bear a read that fails: clients do not subscribe again by themselves, so that a short
 * loss of the database must not end what they follow.
 */
export class Outage {
  #since: number | null = null

  /** @param isOver whether nobody waits for what is read any more: then no error is theirs */
  constructor(
    private readonly isOver: () => boolean,
    private readonly patienceMs = PATIENCE_MS,
  ) {}

  /** What `read` gives, or `otherwise` where it fails. @throws its error, when there has been nothing else for too long */
  async bear<T, const U>(read: () => Promise<T>, otherwise: U): Promise<T | U> {
    try {
      const found = await read()
      this.#since = null
      return found
    } catch (error) {
      this.#since ??= performance.now()
      if (!this.isOver() && performance.now() - this.#since >= this.patienceMs) throw error
      return otherwise
    }
  }
}
