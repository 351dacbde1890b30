import type { DataSource } from 'typeorm'
import { App } from '../entities/app.js'
import { DeploymentStatus } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'
import { Stage } from '../entities/stage.js'
import type { Logger } from '../logger.js'
import { rebuildLost } from './commands/enqueue.js'
import type { ContainerRequest } from './docker/docker.js'
import { untilWellAgain } from './health.js'
import { release, reserve } from './reservation.js'
import type { SecretBox } from './secrets.js'
import { transition } from './states.js'
import { containerRequests } from './steps/containers.js'
import type { Tools } from './steps/context.js'
import { STOP_GRACE_SECONDS } from './steps/retire.js'
import { ownerOf } from './steps/start.js'
import { openConfiguration } from './variables.js'

interface Parts {
  readonly database: DataSource
  readonly tools: Tools
  readonly secrets: SecretBox
  readonly logger: Logger
}

/**
 * Makes the containers of the deployment that a stage's traffic goes to run again, as they were: starts what stopped,
 * makes again from its image what is gone, and tells the router the addresses. A RETIRED one (its stage was stopped
 * and is started) becomes RUNNING when it answers. An image that is gone too is built again from its commit.
 *
 * @throws Error when it does not answer in time; its containers stay, and the engine restarts them
 */
export async function serveAgain(deploymentId: string, parts: Parts, signal: AbortSignal): Promise<void> {
  const { database, tools, logger } = parts
  const found = await readWanted(database, deploymentId)
  if (!found) return
  const { deployment } = found
  if (!deployment.imageId || !(await tools.docker.findImage(deployment.imageId))) {
    logger.warn('the image of what serves is gone; building its commit again', { deployment: deploymentId })
    await rebuildLost(database, tools.wakeups, deployment)
    return
  }
  const requests = requestsOf(found, parts)
  if (deployment.status === DeploymentStatus.RETIRED && deployment.addresses === null)
    return wake(requests, deployment, parts, signal)
  await record(parts, deployment, await run(requests, tools, signal))
}

/** Unless it is being stopped, or somebody else is at it: the reconciler comes back when that must have ended. */
async function wake(
  requests: readonly ContainerRequest[],
  deployment: Deployment,
  parts: Parts,
  signal: AbortSignal,
): Promise<void> {
  const { database, tools } = parts
  const seconds = deployment.configuration?.health.deadlineSeconds ?? 0
  const reservation = await reserve(database, deployment.id, seconds + STOP_GRACE_SECONDS)
  if (reservation === null) return
  try {
    // They may be within the grace time of their stop, and would be killed as soon as they serve.
    await Promise.all(requests.map(({ name }) => tools.docker.stopContainer(name, 0)))
    const addresses = await run(requests, tools, signal)
    const patience = { seconds, ownCheck: true }
    await Promise.all(
      requests.map(({ name }) => untilWellAgain(name, deployment, patience, tools.docker, signal)),
    )
    await record(parts, deployment, addresses)
  } finally {
    await release(database, deployment.id, reservation)
  }
}

interface Wanted {
  readonly app: App
  readonly stage: Stage
  readonly deployment: Deployment
}

async function readWanted(database: DataSource, id: string): Promise<Wanted | null> {
  const deployment = await database.getRepository(Deployment).findOneBy({ id })
  const stage = deployment && (await database.getRepository(Stage).findOneBy({ id: deployment.stageId }))
  const app = stage && (await database.getRepository(App).findOneBy({ id: stage.appId }))
  if (!app || app.deletedAt || stage.stopped || stage.currentDeploymentId !== id) return null
  return { app, stage, deployment }
}

function requestsOf({ app, stage, deployment }: Wanted, { tools, secrets }: Parts): ContainerRequest[] {
  const { configuration, imageId, port } = deployment
  if (!configuration || !imageId || port === null) throw new Error('it never ran')
  const { variables } = openConfiguration(secrets, stage.id, configuration)
  return containerRequests(ownerOf({ app, stage, deployment }, tools), {
    imageId,
    port,
    configuration,
    variables,
  })
}

/** Gives the containers' addresses. */
function run(requests: readonly ContainerRequest[], tools: Tools, signal: AbortSignal): Promise<string[]> {
  return Promise.all(requests.map((request) => runOne(request, tools, signal)))
}

async function runOne(request: ContainerRequest, tools: Tools, signal: AbortSignal): Promise<string> {
  let state = await tools.docker.findContainer(request.name)
  if (!state?.running) {
    await tools.docker.createContainer(request, signal)
    await tools.docker.startContainer(request.name, signal)
    await tools.docker.keepRunning(request.name, signal)
    state = await tools.docker.findContainer(request.name)
  }
  if (!state?.address) throw new Error(`${request.name} has no address: it ended at once`)
  return state.address
}

/** Only while it is still wanted: a stop, or a switch, may have come in between. */
async function record(
  { database, tools }: Parts,
  deployment: Deployment,
  addresses: string[],
): Promise<void> {
  const recorded = await database.transaction(async (manager) => {
    const rows = await manager.query<unknown[]>(
      'SELECT 1 FROM stage WHERE id = $1 AND current_deployment_id = $2 AND NOT stopped FOR NO KEY UPDATE',
      [deployment.stageId, deployment.id],
    )
    if (rows.length === 0) return false
    if (deployment.status === DeploymentStatus.RETIRED) {
      const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
      const patch = { finished_at: null, drain_until: null, live_at: new Date() }
      await transition(manager, claim, DeploymentStatus.RUNNING, 'the stage was started', patch)
    }
    await manager.update(Deployment, { id: deployment.id, status: DeploymentStatus.RUNNING }, { addresses })
    return true
  })
  if (!recorded) return
  tools.wakeups.notify('deployment', deployment.id)
  tools.wakeups.notify('route', deployment.stageId)
}
