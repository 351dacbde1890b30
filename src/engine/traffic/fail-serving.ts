import { DeploymentStatus } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { oneLine } from '../quoted-text.js'
import { step, type Services } from '../services.js'
import { switchOff } from './switch.js'
import { type Failure, readLastLines } from './last-lines.js'

/**
 * Ends a version that fails while it is watched and that none has served before: FAILED, with what its container said
 * last. Its stage answers nothing but the router's page until something is deployed; the reconciler removes what ran.
 *
 * @returns false where it is not so any more: it was stopped or replaced, or another worker was first
 */
export async function failServing(
  { id, failure }: { readonly id: string; readonly failure: Failure },
  services: Services,
): Promise<boolean> {
  const { database, wakeups, logger } = services
  const failed = await database.getRepository(Deployment).findOneBy({ id, status: DeploymentStatus.RUNNING })
  if (!failed) return false
  const error = {
    errorCode: failure.code,
    errorPhase: DeploymentStatus.RUNNING,
    errorMessage: `${oneLine(failure.why, 4_000)}; no version served before it, so its containers are stopped: fix it and deploy again`,
    errorExitCode: failure.exitCode,
    // Its containers go with this.
    errorLastLines: (await readLastLines(failure, failed, services)) ?? [],
  }
  const hasFailed = await step(services, 'fail', () =>
    database.transaction((manager) => switchOff(manager, failed, error)),
  )
  if (!hasFailed) return false
  wakeups.deploymentSettled(id)
  wakeups.trafficMoved(failed.stageId)
  wakeups.stageChanged(failed.stageId)
  logger.warn('a first version failed', { deployment: id, why: failure.why })
  return true
}
