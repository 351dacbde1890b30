/** So long a reader of the database bears nothing but failures: a restart or a change of the server is shorter. */
const PATIENCE_MS = 60_000

/**
 * Whether somebody who reads on and on goes on after a read that failed: clients do not subscribe again by themselves,
 * so that a short loss of the database must not end what they follow.
 */
export class Outage {
  #since: number | null = null

  constructor(private readonly patienceMs = PATIENCE_MS) {}

  /** A read has succeeded. */
  over(): void {
    this.#since = null
  }

  /** A read has failed. @throws its error, when there has been nothing else for too long */
  bear(error: unknown): void {
    this.#since ??= performance.now()
    if (performance.now() - this.#since >= this.patienceMs) throw error
  }
}
