import type { App } from '../../entities/app.js'
import type { Deployment } from '../../entities/deployment.js'
import type { Stage } from '../../entities/stage.js'
import type { ContainerRequest, Docker } from '../docker/docker.js'
import { type Patience, untilHealthyAgain } from '../steps/health.js'
import type { SecretBox } from '../secrets/secrets.js'
import { containerRequests, ownContainers } from '../steps/containers.js'
import { step, type Services } from '../steps/deployment-run.js'
import { ownerOf } from '../steps/start.js'
import { openConfiguration } from '../secrets/variables.js'

/** A deployment that ran before; its containers are stopped, draining or gone. */
export interface StoppedDeployment {
  readonly app: App
  readonly stage: Stage
  readonly deployment: Deployment
}

/** What its containers are made with, as they were. @throws Error when it never ran, or a variable does not decrypt */
export function requestsOf(
  { app, stage, deployment }: StoppedDeployment,
  services: Services,
  secrets: SecretBox,
): ContainerRequest[] {
  const { configuration, imageId, port } = deployment
  if (!configuration || !imageId || port === null) throw new Error('it never ran')
  const { variables } = openConfiguration(secrets, stage.id, configuration)
  const owner = ownerOf({ app, stage, deployment }, services)
  return containerRequests(owner, { imageId, port, configuration, variables })
}

/**
 * Makes the containers of a deployment run that were stopped, or are being stopped, and waits until they answer; what is
 * gone is made again from its image. Gives their addresses. Only for whoever has reserved them (reservation.ts), or
 * while they drain.
 *
 * @throws Error when one does not answer in time; the containers stay as they are
 */
export function startStopped(
  target: StoppedDeployment,
  patience: Patience,
  services: Services,
  secrets: SecretBox,
  signal: AbortSignal,
): Promise<string[]> {
  const { app, deployment } = target
  const { docker } = services
  const startOne = async (name: string) => {
    const state = await docker.findContainer(name, signal)
    // It is within the grace time of its stop, and would be killed as soon as it serves.
    if (state?.running && !state.keptRunning) await docker.stopContainer(name, 0)
    if (!state) await recreate(name, requestsOf(target, services, secrets), docker, signal)
    await docker.startContainer(name, signal)
    await docker.keepRunning(name, signal)
    return untilHealthyAgain(name, deployment, patience, docker, signal)
  }
  return step(services, 'start-stopped', () => Promise.all(ownContainers(app.name, deployment).map(startOne)))
}

async function recreate(
  name: string,
  requests: readonly ContainerRequest[],
  docker: Docker,
  signal: AbortSignal,
): Promise<void> {
  for (const request of requests) if (request.name === name) await docker.createContainer(request, signal)
}

/** Makes a container run that nobody is about to stop; gives its address. */
export async function ensureRunning(
  request: ContainerRequest,
  docker: Docker,
  signal: AbortSignal,
): Promise<string> {
  let state = await docker.findContainer(request.name, signal)
  if (!state?.running || !state.keptRunning || state.paused) {
    await docker.createContainer(request, signal)
    await docker.startContainer(request.name, signal)
    state = await docker.findContainer(request.name, signal)
    // One that waits for its restart is kept running already, and is found so again and again.
    if (!state?.keptRunning) await docker.keepRunning(request.name, signal)
  }
  if (!state?.address) throw new Error(`${request.name} has no address: it ended at once`)
  return state.address
}
