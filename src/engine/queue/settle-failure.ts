import { setTimeout as sleep } from 'node:timers/promises'
import type { DataSource } from 'typeorm'
import { DeploymentStatus, isSettled } from '../../entities/deployment-status.js'
import type { Deployment } from '../../entities/deployment.js'
import type { Logger } from '../../logger.js'
import {
  CancelledError,
  DeployError,
  HandOverError,
  InfrastructureError,
  LostClaimError,
  SupersededError,
} from '../errors.js'
import { cleanLines } from '../logs/lines.js'
import { oneLine } from '../quoted-text.js'
import type { Queryable } from '../sql/queryable.js'
import type { LogWriter } from '../logs/writer.js'
import { giveBack, MAX_ATTEMPTS, supersededBy } from './rescue.js'
import { appendOverflowTail, type Claim, NEXT_STATUSES, NOW, settle, type Settlement } from './states.js'
import type { Wakeups } from '../wakeups/wakeups.js'

interface Dependencies {
  readonly database: DataSource
  readonly wakeups: Wakeups
  readonly logger: Logger
  readonly settings: { readonly leaseMs: number }
}

/** Work on a claimed deployment, and why it has stopped. */
interface StoppedRun {
  readonly deployment: Deployment
  readonly claim: Claim
  /** Null: it stopped before there was anything to say. */
  readonly log: LogWriter | null
  readonly reason: unknown
  /** Aborts when the process stops and its grace is over, whatever has stopped the work. */
  readonly handingOver: AbortSignal
}

const BACK_OFF_MS = 5_000
const HAND_OVER_PATIENCE_MS = 2_000
/** UTF-16 units. A build's error has the whole command of its step. */
const MAX_MESSAGE = 8 * 1024
const RETRY_MS = [200, 400, 800, 1_600, 3_000] as const

/**
 * Whether a deployment that stopped with `reason` is tried again. A fault of the user's is not; one of the surroundings
 * (Docker away, the database away) is, up to {@link MAX_ATTEMPTS} times in all.
 */
export function isRetryable(reason: unknown, deployment: Deployment): boolean {
  if (reason instanceof HandOverError) return true
  const isFinal = [DeployError, CancelledError, SupersededError].some((final) => reason instanceof final)
  return !isFinal && deployment.attempt < MAX_ATTEMPTS
}

/**
 * Ends a deployment whose work has stopped, or gives it back to the queue ({@link isRetryable}). While the
 * database is away it tries for as long as a lease lasts: else a rescuer would take the user's fault for a dead worker
 * and build it again.
 *
 * @throws LostClaimError when it is another worker's by now
 */
export async function settleFailure(dependencies: Dependencies, stopped: StoppedRun): Promise<void> {
  const { deployment, reason, handingOver } = stopped
  if (reason instanceof LostClaimError) throw reason
  // A process that stops does not wait for a database: the rescuer of another one gives it back.
  const patienceMs = () => (handingOver.aborted ? HAND_OVER_PATIENCE_MS : dependencies.settings.leaseMs)
  const startedAt = performance.now()
  for (let attempt = 0; ; attempt++) {
    try {
      await settleOnce(dependencies, stopped)
      dependencies.wakeups.deploymentSettled(deployment.id)
      dependencies.wakeups.queueChanged()
      return
    } catch (error) {
      if (error instanceof LostClaimError || performance.now() - startedAt > patienceMs()) throw error
      await sleep(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)])
    }
  }
}

async function settleOnce(dependencies: Dependencies, stopped: StoppedRun): Promise<void> {
  const { deployment, claim, log } = stopped
  const phase = log?.phase ?? DeploymentStatus.CLONING
  const overflowTail = await log?.overflowTail()
  await dependencies.database.transaction(async (manager) => {
    const outcome = await effectiveReason(manager, stopped)
    if (isRetryable(outcome, deployment)) {
      if (overflowTail) await appendOverflowTail(manager, claim, overflowTail)
      const why = oneLine(masked(log, (outcome as Error).message), MAX_MESSAGE)
      return giveBack(manager, claim, { from: phase, reason: why, ...backOff(outcome, deployment) })
    }
    const { patch, ...ending } = endingOf(outcome, { phase, log }, dependencies.logger)
    const finished = { finishedAt: NOW, addresses: null, ...patch }
    await settle(manager, claim, { ...ending, overflowTail, patch: finished })
  })
}

/** What is asked for while its work stops counts, too: the row is locked, and says it. */
async function effectiveReason(
  manager: Queryable,
  { deployment, claim, reason }: StoppedRun,
): Promise<unknown> {
  const [row] = await manager.query<{ status: DeploymentStatus; cancel_requested_at: Date | null }[]>(
    'SELECT status, cancel_requested_at FROM deployment WHERE id = $1 AND epoch = $2 FOR NO KEY UPDATE',
    [claim.deploymentId, claim.epoch],
  )
  // Settled: the commit of its switch was not answered, and it serves.
  if (!row || isSettled(row.status)) throw new LostClaimError(claim.deploymentId)
  if (row.cancel_requested_at && isRetryable(reason, deployment)) return new CancelledError('cancelled')
  // It was too far to make way when it heard of it: back in the queue, the claim of the newer one ends it.
  const isTooFar = !NEXT_STATUSES[row.status].includes(DeploymentStatus.SUPERSEDED)
  if (reason instanceof SupersededError && isTooFar)
    return new HandOverError('a newer deployment replaces it')
  return reason
}

function backOff(reason: unknown, { attempt }: Deployment): { delayMs: number; countsAsAttempt: boolean } {
  if (reason instanceof HandOverError) return { delayMs: 0, countsAsAttempt: false }
  return { delayMs: BACK_OFF_MS * 2 ** (attempt - 1) * (0.8 + Math.random() * 0.4), countsAsAttempt: true }
}

/** Without a log nothing has been started yet that could say a secret. */
function masked(log: LogWriter | null, text: string): string {
  return log ? log.mask(text) : text
}

function endingOf(
  reason: unknown,
  { phase, log }: { readonly phase: DeploymentStatus; readonly log: LogWriter | null },
  logger: Logger,
): Settlement {
  const mask = (said: string) => masked(log, said)
  if (reason instanceof CancelledError) {
    return { to: DeploymentStatus.CANCELLED, text: 'Cancelled.' }
  }
  if (reason instanceof SupersededError) {
    return { to: DeploymentStatus.SUPERSEDED, text: supersededBy(reason.newerId) }
  }
  const error = describe(reason, logger)
  const message = oneLine(mask(error.message), MAX_MESSAGE)
  const patch = {
    errorCode: error.code,
    errorPhase: error.phase ?? phase,
    errorMessage: message,
    errorExitCode: error.exitCode,
    errorLastLines: cleanLines(error.lastLines, mask),
  }
  return { to: DeploymentStatus.FAILED, text: `Failed: ${message}`, patch }
}

const INTERNAL = { code: 'INTERNAL', cause: null } as const

function describe(reason: unknown, logger: Logger): DeployError {
  if (reason instanceof DeployError) return reason
  logger.error('a deployment failed with an internal error', { error: reason })
  const message = reason instanceof Error ? reason.message : String(reason)
  const { code, cause } = reason instanceof InfrastructureError ? reason : INTERNAL
  // A program's own words, where it was one that failed.
  const said = cause instanceof DeployError ? { exitCode: cause.exitCode, lastLines: cause.lastLines } : {}
  return new DeployError(
    code,
    `${message} (tried ${MAX_ATTEMPTS} times): see the server's log, then deploy again`,
    said,
  )
}
