import pg from 'pg'
import type { Logger } from '../../logger.js'
import { CancelledError, LostClaimError, SupersededError } from '../errors.js'
import type { Claim } from './states.js'
import { IN_FLIGHT } from '../sql/predicates.js'

interface HeldClaim {
  readonly claim: Claim
  readonly abort: (reason: Error) => void
  /** By the monotonic clock, when the last successful renewal was asked for. */
  renewedAt: number
}

interface RenewedRow {
  id: string
  epoch: number
  cancel_requested_at: Date | null
  superseded_by: string | null
}

const STATEMENT_MS = 3_000

// Locked by id, as whoever cancels several locks them: in another order each could wait for the other.
const RENEW = `
  WITH held AS (
    SELECT d.id FROM deployment d JOIN unnest($1::text[], $2::int[]) AS asked (id, epoch) USING (id, epoch)
     WHERE d.status IN ${IN_FLIGHT} ORDER BY d.id FOR NO KEY UPDATE OF d
  )
  UPDATE deployment d SET lease_until = now() + make_interval(secs => $3) FROM held WHERE d.id = held.id
  RETURNING d.id, d.epoch, d.cancel_requested_at,
            CASE WHEN d.status IN ('CLONING', 'BUILDING') THEN d.superseded_by END AS superseded_by`

/**
 * Keeps the leases of this process's claims, on a connection of its own, so that nothing else can make it late.
 *
 * A claim whose lease is lost, or could not be renewed for two thirds of its time (by the monotonic clock), is
 * aborted here before anybody else may take it over. Carries requests to cancel and to make way, too.
 */
export class LeaseKeeper implements AsyncDisposable {
  /** One deployment may be held twice: claimed anew while the work of a claim that was lost is still ending. */
  readonly #held = new Set<HeldClaim>()
  readonly #pool: pg.Pool
  readonly #timers: NodeJS.Timeout[]
  #renewing: Promise<void> | null = null
  #again = false

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
    this.#timers = [
      setInterval(() => void this.renew(), leaseMs / 6),
      // Apart from the renewal, which may itself hang.
      setInterval(() => this.#abortOverdue(), leaseMs / 30),
    ]
  }

  /**
   * Keeps `claim` until what it returns is called; `abort` is called with the reason when its work has to stop.
   *
   * @param claimedAt when it was asked for, by performance.now(): its answer may have been late
   */
  hold(claim: Claim, claimedAt: number, abort: (reason: Error) => void): () => void {
    const held = { claim, abort, renewedAt: claimedAt }
    this.#held.add(held)
    return () => void this.#held.delete(held)
  }

  /** Renews all leases now; also sees who is to be cancelled, so it is called when that is announced. */
  renew(): Promise<void> {
    this.#again = this.#renewing !== null
    this.#renewing ??= this.#renewAll().finally(() => {
      this.#renewing = null
      if (this.#again) void this.renew()
    })
    return this.#renewing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#renewing
    await this.#pool.end()
  }

  async #renewAll(): Promise<void> {
    const asked = [...this.#held]
    if (asked.length === 0) return
    const askedAt = performance.now()
    try {
      const { rows } = await this.#pool.query<RenewedRow>(RENEW, [
        asked.map(({ claim }) => claim.deploymentId),
        asked.map(({ claim }) => claim.epoch),
        this.leaseMs / 1000,
      ])
      for (const held of asked) {
        const { deploymentId, epoch } = held.claim
        const row = rows.find((one) => one.id === deploymentId && one.epoch === epoch)
        this.#take(held, row, askedAt)
      }
    } catch (error) {
      this.logger.warn('could not renew leases', { count: asked.length, error: (error as Error).message })
    }
  }

  #take(held: HeldClaim, row: RenewedRow | undefined, askedAt: number): void {
    const { deploymentId } = held.claim
    // Released meanwhile: its own worker has settled it.
    if (!this.#held.has(held)) return
    if (!row) return held.abort(new LostClaimError(deploymentId))
    held.renewedAt = askedAt
    if (row.cancel_requested_at) held.abort(new CancelledError('cancelled'))
    else if (row.superseded_by) held.abort(new SupersededError(row.superseded_by))
  }

  #abortOverdue(): void {
    for (const { claim, abort, renewedAt } of this.#held) {
      if (performance.now() - renewedAt > (this.leaseMs * 2) / 3)
        abort(new LostClaimError(claim.deploymentId))
    }
  }
}
