import { setTimeout as sleep } from 'node:timers/promises'
import type { DataSource } from 'typeorm'
import { DeploymentStatus } from '../entities/deployment-status.js'
import type { Deployment } from '../entities/deployment.js'
import type { Logger } from '../logger.js'
import {
  CancelledError,
  DeployError,
  HandOverError,
  InfrastructureError,
  LostClaimError,
  SupersededError,
} from './errors.js'
import { cleanLine, cleanLines } from './logs/lines.js'
import type { LogWriter } from './logs/writer.js'
import { announceSettled } from './queue.js'
import { giveBack, MAX_ATTEMPTS, supersededBy } from './rescue.js'
import { type Claim, settle, type StatusPatch } from './states.js'
import type { Wakeups } from './wakeups.js'

interface Parts {
  readonly database: DataSource
  readonly tools: { readonly wakeups: Wakeups }
  readonly logger: Logger
}

const BACK_OFF_MS = 5_000
const SETTLE_TRIES = 5

/**
 * Ends or gives back a deployment whose work stopped with `reason`. A fault of the user's ends it, a fault of the
 * surroundings (Docker away, the database away) is tried again, up to {@link MAX_ATTEMPTS} times in all.
 *
 * @throws LostClaimError when it is another worker's by now
 */
export async function settleFailure(
  parts: Parts,
  deployment: Deployment,
  claim: Claim,
  log: LogWriter | null,
  reason: unknown,
): Promise<void> {
  if (reason instanceof LostClaimError) throw reason
  for (let attempt = 1; ; attempt++) {
    try {
      await settleOnce(parts, deployment, claim, log, reason)
      announceSettled(parts.tools.wakeups, deployment.id)
      parts.tools.wakeups.notify('queue', deployment.id)
      return
    } catch (error) {
      if (error instanceof LostClaimError || attempt >= SETTLE_TRIES) throw error
      await sleep(200 * attempt) // the database is away; past the lease, the rescuer settles it
    }
  }
}

async function settleOnce(
  parts: Parts,
  deployment: Deployment,
  claim: Claim,
  log: LogWriter | null,
  reason: unknown,
): Promise<void> {
  const phase = log?.phase ?? DeploymentStatus.CLONING
  if (reason instanceof HandOverError || isRetried(reason, deployment)) {
    await log?.flush()
    const handedOver = reason instanceof HandOverError
    const delayMs = handedOver ? 0 : BACK_OFF_MS * 2 ** (deployment.attempt - 1) * (0.8 + Math.random() * 0.4)
    const options = { delayMs, countsAsAttempt: !handedOver }
    const why = cleanLine(masked(log, (reason as Error).message))
    await parts.database.transaction((manager) => giveBack(manager, claim, phase, why, options))
    return
  }
  const remainder = log ? await log.remainder() : undefined
  const before = remainder
    ? { before: remainder.chunks, omittedBytes: remainder.omittedBytes, expectedSeq: remainder.expectedSeq }
    : {}
  const { status, text, patch } = endingOf(reason, phase, (said) => masked(log, said), parts.logger)
  await parts.database.transaction((manager) =>
    settle(
      manager,
      claim,
      status,
      { text, ...before },
      { finished_at: new Date(), addresses: null, ...patch },
    ),
  )
}

/** Without a log nothing has been started yet that could say a secret. */
function masked(log: LogWriter | null, text: string): string {
  return log ? log.mask(text) : text
}

interface Ending {
  readonly status: DeploymentStatus
  readonly text: string
  readonly patch: StatusPatch
}

function endingOf(
  reason: unknown,
  phase: DeploymentStatus,
  mask: (text: string) => string,
  logger: Logger,
): Ending {
  if (reason instanceof CancelledError) {
    return { status: DeploymentStatus.CANCELLED, text: 'Cancelled.', patch: {} }
  }
  if (reason instanceof SupersededError) {
    return { status: DeploymentStatus.SUPERSEDED, text: supersededBy(reason.newerId), patch: {} }
  }
  const error = describe(reason, logger)
  const message = cleanLine(mask(error.message))
  const patch = {
    error_code: error.code,
    error_phase: error.phase ?? phase,
    error_message: message,
    error_exit_code: error.exitCode,
    error_last_lines: cleanLines(error.lastLines, mask),
  }
  return { status: DeploymentStatus.FAILED, text: `Failed: ${message}`, patch }
}

function isRetried(reason: unknown, deployment: Deployment): boolean {
  return (
    ![DeployError, CancelledError, SupersededError].some((final) => reason instanceof final) &&
    deployment.attempt < MAX_ATTEMPTS
  )
}

function describe(reason: unknown, logger: Logger): DeployError {
  if (reason instanceof DeployError) return reason
  logger.error('a deployment failed for a reason of the server', { error: reason })
  const message = reason instanceof Error ? reason.message : String(reason)
  const { code, cause } = reason instanceof InfrastructureError ? reason : { code: 'INTERNAL', cause: null }
  // A program's own words, where it was one that failed.
  const said = cause instanceof DeployError ? { exitCode: cause.exitCode, lastLines: cause.lastLines } : {}
  return new DeployError(
    code,
    `${message} (tried ${MAX_ATTEMPTS} times): see the server's log, then deploy again`,
    said,
  )
}
