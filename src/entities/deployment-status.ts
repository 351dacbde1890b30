/**
 * The states of a deployment. `docs/states.md` draws how they follow each other; `engine/queue/states.ts` is the only
 * code that moves a deployment from one to the next.
 */
export enum DeploymentStatus {
  /** Asked for, or given back. A worker claims it, a newer one supersedes it; a crash of any process leaves it waiting. */
  PENDING = 'PENDING',
  /** Claimed; its commit is being fetched. Its worker moves it on; a crash gives it back when the lease ends, commit pinned. */
  CLONING = 'CLONING',
  /** Commit fetched; its image is being built. A crash gives it back to the queue; a finished image is adopted. */
  BUILDING = 'BUILDING',
  /** Image there; its containers are being started and checked. A crash gives it back; the next attempt replaces them. */
  STARTING = 'STARTING',
  /** Healthy; traffic is being moved to it, in one transaction that also makes it RUNNING. A crash before that gives it back. */
  ROUTING = 'ROUTING',
  /** Serves its stage, exactly one per stage. A newer one, a stop or the watcher moves it on; no process is needed meanwhile. */
  RUNNING = 'RUNNING',
  /** Served once; a newer one took over, or its stage was stopped. Any worker drains and removes what ran; it may serve again. */
  RETIRED = 'RETIRED',
  /** Ended by an error that `error_code` names. The version that served goes on serving, if there is one; a crash changes nothing any more. */
  FAILED = 'FAILED',
  /** Ended because somebody asked for it before traffic had moved. Where its worker crashes first, any other ends it so. */
  CANCELLED = 'CANCELLED',
  /** Never served: a newer deployment of the stage took its place. Where its worker crashes first, any other ends it so. */
  SUPERSEDED = 'SUPERSEDED',
  /** Failed while it was watched: one transaction rolled the stage back to the one before it. What ran is removed by any worker. */
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
  /** A lookup of the repository found a commit that no push had brought. */
  POLL = 'POLL',
  ROLLBACK = 'ROLLBACK',
  PROMOTE = 'PROMOTE',
}

/** Which stream a line of a log came from: the engine's own messages, or a program's output. */
export enum LogStream {
  SYSTEM = 'SYSTEM',
  STDOUT = 'STDOUT',
  STDERR = 'STDERR',
}
