import pg from 'pg'
import type { Logger } from '../logger.js'
import { CancelledError, LostClaimError } from './errors.js'
import type { Claim } from './states.js'

interface Held {
  readonly claim: Claim
  readonly abort: (reason: Error) => void
  renewedAt: number
}

const STATEMENT_MS = 3_000

/**
 * Keeps the leases of this process's claims, on a connection of its own, so that nothing else can make it late.
 *
 * A claim whose lease is lost, or could not be renewed for two thirds of its time (by the monotonic clock), is
 * aborted here before anybody else may take it over. Carries requests to cancel, too.
 */
export class LeaseKeeper implements AsyncDisposable {
  readonly #held = new Map<string, Held>()
  readonly #pool: pg.Pool
  readonly #timer: NodeJS.Timeout
  #renewing = false

  constructor(
    url: string,
    private readonly leaseMs: number,
    private readonly logger: Logger,
  ) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: 1,
      query_timeout: STATEMENT_MS,
      connectionTimeoutMillis: STATEMENT_MS,
      keepAlive: true,
      application_name: 'longshore-lease',
    })
    this.#pool.on('error', () => undefined)
    this.#timer = setInterval(() => void this.renew(), leaseMs / 6)
  }

  /** Keeps `claim` until {@link release}; `abort` is called with the reason when its work has to stop. */
  hold(claim: Claim, abort: (reason: Error) => void): void {
    this.#held.set(claim.deploymentId, { claim, abort, renewedAt: performance.now() })
  }

  release(deploymentId: string): void {
    this.#held.delete(deploymentId)
  }

  /** Renews all leases now; also sees cancellations, so it is called when one is announced. */
  async renew(): Promise<void> {
    if (this.#renewing) return
    this.#renewing = true
    try {
      for (const held of [...this.#held.values()]) await this.#renewOne(held)
    } finally {
      this.#renewing = false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#pool.end()
  }

  async #renewOne(held: Held): Promise<void> {
    const { deploymentId, epoch } = held.claim
    const askedAt = performance.now()
    try {
      const result = await this.#pool.query<{ cancel_requested_at: Date | null }>(
        `UPDATE deployment SET lease_until = now() + make_interval(secs => $3)
          WHERE id = $1 AND epoch = $2 AND status IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING')
         RETURNING cancel_requested_at`,
        [deploymentId, epoch, this.leaseMs / 1000],
      )
      const row = result.rows[0]
      held.renewedAt = askedAt
      // No row: settled a moment ago by its own worker (then it is released), or lost.
      if (!row && this.#held.get(deploymentId) === held) held.abort(new LostClaimError(deploymentId))
      if (row?.cancel_requested_at) held.abort(new CancelledError('cancelled'))
    } catch (error) {
      this.logger.warn('could not renew a lease', {
        deployment: deploymentId,
        error: (error as Error).message,
      })
      const overdueMs = performance.now() - held.renewedAt
      if (overdueMs > (this.leaseMs * 2) / 3) held.abort(new LostClaimError(deploymentId))
    }
  }
}
