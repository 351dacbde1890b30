import type { ContainerRequest, Docker } from '../docker/docker.js'
import { type Patience, untilHealthyAgain } from './health.js'
import { containerRequests, ownContainers, ownerOf, type Version } from './containers.js'
import { stageUrl } from '../addresses.js'
import { step, type Services } from '../services.js'
import { openConfiguration } from '../secrets/variables.js'

/** What its containers are made with, as they were. @throws Error when it never ran, or a variable does not decrypt */
export function requestsOf({ app, stage, deployment }: Version, services: Services): ContainerRequest[] {
  const { configuration, imageId, port } = deployment
  if (!configuration || !imageId || port === null) throw new Error('it never ran')
  const { variables } = openConfiguration(services.secrets, stage.id, configuration)
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
export function startStopped(target: Version, patience: Patience, services: Services): Promise<string[]> {
  const { app, stage, deployment } = target
  const { signal } = patience
  const { docker } = services
  const url = stageUrl(app.name, stage.name, services.settings)
  const startOne = async (name: string) => {
    const state = await docker.findContainer(name, signal)
    // It is within the grace time of its stop, and would be killed as soon as it serves.
    if (state?.running && !state.keptRunning) await docker.stopContainer(name, 0)
    const lost = state ? [] : requestsOf(target, services).filter((request) => request.name === name)
    for (const request of lost) await docker.createContainer(request, signal)
    await docker.startContainer(name, signal)
    await docker.keepRunning(name, signal)
    return untilHealthyAgain({ name, deployment, url }, patience, docker)
  }
  return step(services, 'start-stopped', () => Promise.all(ownContainers(app.name, deployment).map(startOne)))
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
