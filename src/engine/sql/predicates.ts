import { DeploymentStatus, IN_FLIGHT_STATUSES } from '../../entities/deployment-status.js'

// What several statements say of a deployment `d`, in SQL.

/** Statuses as a list for IN. */
function list(...statuses: readonly DeploymentStatus[]): string {
  return `(${statuses.map((status) => `'${status}'`).join(', ')})`
}

/** A worker holds it: CLONING to ROUTING. */
export const IN_FLIGHT = list(...IN_FLIGHT_STATUSES)
/** It has not come to its end: it waits, or a worker holds it. */
export const UNSETTLED = list(DeploymentStatus.PENDING, ...IN_FLIGHT_STATUSES)

/** Its stage's traffic is to go to it. */
export const IS_ROUTED_TO = `EXISTS (SELECT 1 FROM stage s
  WHERE s.id = d.stage_id AND s.current_deployment_id = d.id AND NOT s.stopped)`

/** It has a successor that could still fail. */
export const SUCCESSOR_IS_RUNNING = `EXISTS (SELECT 1 FROM deployment next
  WHERE next.replaced_id = d.id AND next.status = 'RUNNING')`

/**
 * Its successor is still watched: its containers are stopped and not removed, so that an automatic rollback can start it.
 * Until the watch has ended, not until its time is over: the last look may come later, and what is not confirmed by then
 * may still fail.
 */
export const KEPT_FOR_ROLLBACK = `EXISTS (SELECT 1 FROM deployment next
  WHERE next.replaced_id = d.id AND next.status = 'RUNNING' AND next.watch_until IS NOT NULL)`
