/**
 * The states of a deployment. `docs/states.md` draws how they follow each other; `engine/states.ts` is the only
 * code that moves a deployment from one to the next.
 */
export enum DeploymentStatus {
  /** Waits in the queue. A worker claims it; a crash of any process leaves it waiting. */
  PENDING = 'PENDING',
  /** Claimed; its commit is being fetched. A crash gives it back to the queue when the lease ends. */
  CLONING = 'CLONING',
  /** Its image is being built. A crash gives it back to the queue; a finished image is adopted. */
  BUILDING = 'BUILDING',
  /** Its container runs and is being checked. A crash removes the container and starts over. */
  STARTING = 'STARTING',
  /** Checked; traffic is being moved to it, in one transaction that also makes it RUNNING. */
  ROUTING = 'ROUTING',
  /** Serves its stage, exactly one per stage. No process is needed for that. */
  RUNNING = 'RUNNING',
  /** Served once; a newer deployment took over. Its container is drained and removed. */
  RETIRED = 'RETIRED',
  /** Ended by an error that `error_code` names. The version that served goes on serving. */
  FAILED = 'FAILED',
  /** Ended because somebody asked for it before traffic had moved. */
  CANCELLED = 'CANCELLED',
  /** Never ran, or was stopped before it started: a newer deployment of the stage replaced it. */
  SUPERSEDED = 'SUPERSEDED',
  /** Went live, failed in the watch window, and traffic went back to the deployment before it. */
  ROLLED_BACK = 'ROLLED_BACK',
}

/** A worker holds it: at most one deployment of a stage is in these, by a unique index. */
export const IN_FLIGHT_STATUSES = [
  DeploymentStatus.CLONING,
  DeploymentStatus.BUILDING,
  DeploymentStatus.STARTING,
  DeploymentStatus.ROUTING,
] as const

/** It does not change any more, except that a RUNNING one is RETIRED later. */
export const SETTLED_STATUSES = [
  DeploymentStatus.RUNNING,
  DeploymentStatus.RETIRED,
  DeploymentStatus.FAILED,
  DeploymentStatus.CANCELLED,
  DeploymentStatus.SUPERSEDED,
  DeploymentStatus.ROLLED_BACK,
] as const

export function isSettled(status: DeploymentStatus): boolean {
  return SETTLED_STATUSES.some((settled) => settled === status)
}

/** What caused a deployment. */
export enum DeploymentTrigger {
  CREATE = 'CREATE',
  MANUAL = 'MANUAL',
  WEBHOOK = 'WEBHOOK',
  ROLLBACK = 'ROLLBACK',
  PROMOTE = 'PROMOTE',
}

/** Where a line of a log came from: the engine, or a program's output. */
export enum LogSource {
  SYSTEM = 'SYSTEM',
  STDOUT = 'STDOUT',
  STDERR = 'STDERR',
}
