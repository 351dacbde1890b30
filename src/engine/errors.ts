import type { DeploymentErrorCode } from '../entities/deployment-error-code.js'
import type { DeploymentStatus } from '../entities/deployment-status.js'

/** Why a deployment failed, in words for whoever asked for it. */
export interface DeployErrorDetails {
  readonly exitCode?: number | null
  readonly lastLines?: readonly string[]
  readonly cause?: unknown
}

/** A deployment cannot succeed as it is: its user has to change something. Not retried. */
export class DeployError extends Error {
  override name = 'DeployError'
  readonly exitCode: number | null
  readonly lastLines: readonly string[]
  /** The status in which it failed; the recipe fills it in. */
  phase: DeploymentStatus | null = null

  /**
   * @param message what was tried, on what, and what to do next
   */
  constructor(
    readonly code: DeploymentErrorCode,
    message: string,
    details: DeployErrorDetails = {},
  ) {
    super(message, { cause: details.cause })
    this.exitCode = details.exitCode ?? null
    this.lastLines = details.lastLines ?? []
  }
}

/** Something that the deployment needs is away (Docker, the network, the database): it is tried again. */
export class InfrastructureError extends Error {
  override name = 'InfrastructureError'

  constructor(
    readonly code: DeploymentErrorCode,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause })
  }
}

/** What is away is not this machine's, and may be well again in a moment: whoever asked it asks again. */
export class OutageError extends InfrastructureError {
  override name = 'OutageError'
}

/** Another worker may hold the deployment by now. Whoever sees this stops and touches nothing more. */
export class LostClaimError extends Error {
  override name = 'LostClaimError'
  readonly code = 'LOST_CLAIM'

  constructor(deploymentId: string) {
    super(`the claim of deployment ${deploymentId} is lost`)
  }
}

/** Somebody asked for the deployment to be cancelled. */
export class CancelledError extends Error {
  override name = 'CancelledError'
  readonly code = 'CANCELLED'
}

/** A newer deployment of the stage takes its place. */
export class SupersededError extends Error {
  override name = 'SupersededError'
  readonly code = 'SUPERSEDED'

  constructor(readonly newerId: string) {
    super(`superseded by the newer deployment ${newerId}`)
  }
}

/** This process is stopping: the deployment goes back to the queue. */
export class HandOverError extends Error {
  override name = 'HandOverError'
  readonly code = 'HAND_OVER'
}
