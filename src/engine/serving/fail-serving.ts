import type { DataSource } from 'typeorm'
import { DeploymentStatus } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import type { Logger } from '../../logger.js'
import { announceSettled } from '../claims/queue.js'
import type { Queryable } from '../logs/store.js'
import type { SecretBox } from '../secrets/secrets.js'
import { announceHeld, NOW, type StatusPatch, transitionUnannounced } from '../states.js'
import { step, type Services } from '../steps/deployment-run.js'
import { type Failure, readLastLines } from './last-lines.js'

interface Dependencies {
  readonly database: DataSource
  readonly services: Services
  readonly secrets: SecretBox
  readonly logger: Logger
}

/**
 * Ends a version that fails while it is watched and that none has served before: FAILED, with what its container said
 * last. Its stage answers nothing but the router's page until something is deployed; the reconciler removes what ran.
 *
 * @returns false where it is not so any more: it was stopped or replaced, or another worker was first
 */
export async function failServing(
  id: string,
  failure: Failure,
  dependencies: Dependencies,
): Promise<boolean> {
  const { database, services, secrets, logger } = dependencies
  const failed = await database.getRepository(Deployment).findOneBy({ id, status: DeploymentStatus.RUNNING })
  if (!failed) return false
  const error = {
    error_code: failure.code,
    error_phase: DeploymentStatus.RUNNING,
    error_message: `${failure.why}; no version served before it, so its containers are stopped: fix it and deploy again`,
    error_exit_code: failure.exitCode,
    // Its containers go with this.
    error_last_lines: (await readLastLines(failure, failed, services.docker, secrets)) ?? [],
  }
  const hasFailed = await step(services, 'fail', () =>
    database.transaction((manager) => fail(manager, failed, error)),
  )
  if (!hasFailed) return false
  announceSettled(services.wakeups, id)
  services.wakeups.trafficMoved(failed.stageId)
  services.wakeups.stageChanged(failed.stageId)
  logger.warn('a first version failed', { deployment: id, why: failure.why })
  return true
}

async function fail(
  manager: Queryable,
  { id, epoch, stageId }: Deployment,
  error: StatusPatch & { readonly error_message: string },
): Promise<boolean> {
  await manager.query('SELECT id FROM stage WHERE id = $1 FOR NO KEY UPDATE', [stageId])
  const rows = await manager.query<unknown[]>(
    `SELECT 1 FROM deployment d JOIN stage s ON s.id = d.stage_id
      WHERE d.id = $1 AND d.status = 'RUNNING' AND d.watch_until IS NOT NULL AND d.replaced_id IS NULL
        AND NOT s.stopped AND s.current_deployment_id = d.id FOR NO KEY UPDATE OF d`,
    [id],
  )
  if (rows.length === 0) return false
  const gone = { finished_at: NOW, watch_until: null, addresses: null, ...error }
  const claim = { deploymentId: id, epoch }
  await transitionUnannounced(manager, claim, DeploymentStatus.FAILED, `Failed: ${error.error_message}`, gone)
  // At once, and before RUNNING where that was not said yet: nobody has to be sent to it.
  await announceHeld(manager, stageId)
  await manager.query('UPDATE stage SET route_epoch = route_epoch + 1 WHERE id = $1', [stageId])
  return true
}
