import type { Image } from '../docker/docker.js'
import { EPOCH_LABEL } from '../names.js'
import { step, type Services } from '../services.js'
import { containerNames, containerRequests, ownerOf } from '../traffic/containers.js'
import type { DeploymentRun } from './deployment-run.js'

/** Containers that were started, and the port that they are to answer on. */
export interface Started {
  readonly containers: readonly string[]
  readonly port: number
}

const DEFAULT_PORT = 80

/**
 * Containers of the image, one for each replica, beside whatever serves now. Those that an earlier attempt of the same
 * deployment made are replaced: whoever made them may be slow and not dead, and still be about to remove them.
 */
export async function start(run: DeploymentRun, image: Image, services: Services): Promise<Started> {
  const { configuration, variables, log, signal } = run
  const port = configuration.port ?? portOf(variables) ?? choosePort(image, log)
  const plan = { imageId: image.id, port, configuration, variables }
  const requests = containerRequests(ownerOf(run, services), plan)
  const { docker } = services
  // A call under way is waited for, not broken off: what it makes has to be there when it is undone.
  await step(services, 'create', () =>
    mapAbortingOthers(requests, signal, (one, others) => docker.createContainer(one, others)),
  )
  await step(services, 'start', () =>
    mapAbortingOthers(requests, signal, (one, others) => docker.startContainer(one.name, others)),
  )
  const containers = requests.map(({ name }) => name)
  log.system(`Started ${containers.join(', ')}; waiting for an answer on port ${port}`)
  return { containers, port }
}

/** The undo of {@link start}: only what this claim has made. */
export async function removeContainers(run: DeploymentRun, { docker }: Services): Promise<void> {
  const own = { [EPOCH_LABEL]: String(run.claim.epoch) }
  const names = containerNames(run.app.name, run.deployment.id, run.configuration.replicas)
  const removals = await Promise.allSettled(names.map((name) => docker.removeContainer(name, 0, own)))
  for (const removal of removals) if (removal.status === 'rejected') throw removal.reason
}

/** All at once. The first that fails aborts the work on the others, and nothing of it goes on when this rejects. */
export async function mapAbortingOthers<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const all = items.map((item) =>
    work(item, either).catch((error: unknown) => {
      failed.abort(error)
      throw error
    }),
  )
  try {
    return await Promise.all(all)
  } finally {
    await Promise.allSettled(all)
  }
}

/** A variable PORT says where the app listens, as everywhere in the field. */
function portOf(variables: DeploymentRun['variables']): number | null {
  const port = Number(variables.get('PORT') ?? Number.NaN)
  return Number.isInteger(port) && port >= 1 && port <= 65_535 ? port : null
}

/** The image's one exposed port; of several the usual one for the web; none: 80. */
function choosePort(image: Image, log: DeploymentRun['log']): number {
  const ports = image.exposedPorts
  if (ports.length === 1 && ports[0]) return ports[0]
  const chosen = [80, 8080, 3000, 8000, 5000].find((port) => ports.includes(port)) ?? ports[0] ?? DEFAULT_PORT
  log.system(
    ports.length === 0
      ? `The image exposes no port (EXPOSE); using ${chosen}`
      : `The image exposes ${ports.join(', ')}; using ${chosen}`,
  )
  return chosen
}
