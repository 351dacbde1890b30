import { setTimeout as sleep } from 'node:timers/promises'
import { DeployError, OutageError } from '../errors.js'

const PAUSES_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000] as const

/** An attempt that failed, before the next one. */
export interface FailedAttempt {
  readonly attempt: number
  readonly pauseMs: number
  readonly reason: string
}

/** For the log. */
export function retryLine({ attempt, pauseMs, reason }: FailedAttempt): string {
  return `Attempt ${attempt} failed: ${reason}. Trying again in ${Math.round(pauseMs / 1000)} s`
}

interface RetryOptions {
  /** From the first failure on; the last attempt begins within it. */
  readonly forMs: number
  readonly onRetry: (failed: FailedAttempt) => void
  /** Ends also a pause. */
  readonly signal: AbortSignal
}

/**
 * Does `work`, and again after growing pauses while it fails for an outage.
 *
 * @throws DeployError with the last outage's code and words when it has not passed in time: the queue's own attempts would
 *   only wait for the same again
 */
export async function retryOutages<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  let failedAt = Infinity
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof OutageError)) throw error
      const now = performance.now()
      failedAt = Math.min(failedAt, now)
      // Not all at the same moment, when a forge is back that many wait for.
      const pauseMs = (PAUSES_MS[attempt - 1] ?? PAUSES_MS[5]) * (0.8 + Math.random() * 0.4)
      if (now + pauseMs > failedAt + options.forMs) throw givenUp(error, attempt, options.forMs)
      options.onRetry({ attempt, pauseMs, reason: error.message })
      await sleep(pauseMs, undefined, { signal: options.signal })
    }
  }
}

function givenUp({ code, message, cause }: OutageError, attempts: number, forMs: number): DeployError {
  const tried = attempts === 1 ? 'tried once' : `tried ${attempts} times`
  const said = cause instanceof DeployError ? { exitCode: cause.exitCode, lastLines: cause.lastLines } : {}
  return new DeployError(code, `${message} (${tried} within ${forMs / 1000} s, FETCH_RETRY_SECONDS)`, said)
}
