import type { DataSource } from 'typeorm'
import { App } from '../../entities/app.js'
import { DeploymentStatus } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { Stage } from '../../entities/stage.js'
import { rebuildLost } from '../queue/enqueue.js'
import { IS_ROUTED_TO } from '../sql/predicates.js'
import { whileReserved } from './reservation.js'
import { announceSwitch } from './announce.js'
import type { Services } from '../services.js'
import { switchOn } from './switch.js'
import type { Version } from './containers.js'
import { requestsOf, ensureRunning, startStopped } from './start-stopped.js'

/**
 * Makes the containers of the deployment that a stage's traffic goes to run again, as they were: starts what stopped,
 * makes again from its image what is gone, and tells the router the addresses. A RETIRED one (its stage was stopped
 * and is started) becomes RUNNING when it answers. An image that is gone too is built again from its commit, unless
 * a newer deployment waits or is under way.
 *
 * @throws Error when one of them does not answer in time; the containers stay, and the engine restarts them
 */
export async function resumeServing(
  deploymentId: string,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { database, logger } = services
  const current = await readCurrent(database, deploymentId)
  if (!current) return
  const { deployment } = current
  if (!deployment.imageId || !(await services.docker.findImage(deployment.imageId, signal))) {
    const again = await rebuildLost(database, services.wakeups, deployment)
    const details = { deployment: deploymentId, again: again?.id }
    if (again) logger.warn('the image of a running deployment is gone; rebuilding its commit', details)
    return
  }
  if (deployment.status === DeploymentStatus.RETIRED && deployment.addresses === null)
    return startStoppedStage(current, services, signal)
  const requests = requestsOf(current, services)
  const outcomes = await Promise.allSettled(
    requests.map((request) => ensureRunning(request, services.docker, signal)),
  )
  const addresses = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  // Of several replicas those serve that run, however long one of them takes.
  if (addresses.length > 0) await recordAddresses(deployment, addresses, services)
  for (const one of outcomes) if (one.status === 'rejected') throw one.reason
}

/** Unless it is being stopped, or somebody else is at it: the reconciler comes back when that must have ended. */
async function startStoppedStage(current: Version, services: Services, signal: AbortSignal): Promise<void> {
  const { deployment } = current
  const patience = { seconds: deployment.configuration?.health.deadlineSeconds ?? 0, ownCheck: true }
  const target = { database: services.database, id: deployment.id, needed: IS_ROUTED_TO }
  const started = await whileReserved(target, signal, async (reserved) => {
    const addresses = await startStopped(current, { ...patience, signal: reserved }, services)
    return recordAddresses(deployment, addresses, services)
  })
  // Stopped again meanwhile: what runs now is to be stopped.
  if (started && !started.result) services.wakeups.stageChanged(deployment.stageId)
}

async function readCurrent(database: DataSource, id: string): Promise<Version | null> {
  const deployment = await database.getRepository(Deployment).findOneBy({ id })
  const stage = deployment && (await database.getRepository(Stage).findOneBy({ id: deployment.stageId }))
  const app = stage && (await database.getRepository(App).findOneBy({ id: stage.appId }))
  if (!app || app.deletedAt || stage.stopped || stage.currentDeploymentId !== id) return null
  return { app, stage, deployment }
}

/** Only while traffic still goes to it: a stop, or a switch, may have come in between. False: it is not. */
async function recordAddresses(
  deployment: Deployment,
  addresses: string[],
  services: Services,
): Promise<boolean> {
  const recorded = await services.database.transaction(async (manager) => {
    const rows = await manager.query<unknown[]>(
      'SELECT 1 FROM stage WHERE id = $1 AND current_deployment_id = $2 AND NOT stopped FOR NO KEY UPDATE',
      [deployment.stageId, deployment.id],
    )
    if (rows.length === 0) return false
    if (deployment.status === DeploymentStatus.RETIRED) await switchOn(manager, deployment, services.settings)
    await manager.update(Deployment, { id: deployment.id, status: DeploymentStatus.RUNNING }, { addresses })
    return true
  })
  if (!recorded) return false
  if (deployment.status === DeploymentStatus.RETIRED) await announceSwitch(deployment.stageId, services)
  else {
    services.wakeups.deploymentChanged(deployment.id)
    services.wakeups.trafficMoved(deployment.stageId)
    await services.router.apply().catch(() => undefined) // a router that cannot read now polls
  }
  return true
}
