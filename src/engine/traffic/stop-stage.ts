import type { EntityManager } from 'typeorm'
import { DeploymentStatus } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import type { Stage } from '../../entities/stage.js'
import { NOW, settle } from '../queue/states.js'
import type { Services } from '../services.js'
import { IN_FLIGHT } from '../sql/predicates.js'
import type { Wakeups } from '../wakeups/wakeups.js'
import { switchToNothing } from './switch.js'

/** A stage that was stopped, and the deployments that have changed. */
export interface StoppedStage {
  readonly stageId: string
  readonly changed: readonly string[]
}

/**
 * Stops a stage whose row the caller's transaction holds: nothing serves, and what waits or is under way is cancelled.
 * Gives what {@link announceStop} tells the others after the commit.
 */
export async function stopStage(
  manager: EntityManager,
  { id, stopped }: Pick<Stage, 'id' | 'stopped'>,
  settings: Pick<Services['settings'], 'drainMs'>,
): Promise<StoppedStage> {
  const cancelled = await cancelAll(manager, id)
  if (stopped) return { stageId: id, changed: cancelled }
  const retired = await switchToNothing(manager, id, settings)
  return { stageId: id, changed: retired ? [...cancelled, retired.deploymentId] : cancelled }
}

/** Ends what waits, asks the worker of what is under way. Gives those that have ended. */
export async function cancelAll(manager: EntityManager, stageId: string): Promise<string[]> {
  const pending = await manager.find(Deployment, {
    where: { stageId, status: DeploymentStatus.PENDING },
    lock: { mode: 'for_no_key_update' },
    order: { id: 'ASC' },
  })
  for (const { id, epoch } of pending) {
    const text = 'Cancelled: the stage was stopped.'
    const cancelled = { to: DeploymentStatus.CANCELLED, text, patch: { finishedAt: NOW } }
    await settle(manager, { deploymentId: id, epoch }, cancelled)
  }
  await manager.query(
    `UPDATE deployment SET cancel_requested_at = coalesce(cancel_requested_at, now())
      WHERE stage_id = $1 AND status IN ${IN_FLIGHT}`,
    [stageId],
  )
  return pending.map(({ id }) => id)
}

/** Tells routers, workers and followers that a stage was stopped. */
export function announceStop(wakeups: Wakeups, { stageId, changed }: StoppedStage): void {
  for (const deploymentId of changed) wakeups.deploymentSettled(deploymentId)
  wakeups.cancelRequested()
  wakeups.trafficMoved(stageId)
  wakeups.stageChanged(stageId)
}
