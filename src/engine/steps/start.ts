import type { Image } from '../docker/docker.js'
import { EPOCH_LABEL } from '../names.js'
import { type GuessedPort, guessPort } from './choose-port.js'
import { step, type Services } from '../services.js'
import { containerNames, containerRequests, ownerOf } from '../traffic/containers.js'
import type { DeploymentRun } from './deployment-run.js'

/** Containers that were started, and the port that they are to answer on. */
export interface Started {
  readonly containers: readonly string[]
  readonly port: number
  /** Null: the port is set, or the only one that the image exposes. */
  readonly guessed: GuessedPort | null
}

/**
 * Containers of the image, one for each replica, beside whatever serves now. Those that an earlier attempt of the same
 * deployment made are replaced: whoever made them may be slow and not dead, and still be about to remove them.
 */
export async function start(run: DeploymentRun, image: Image, services: Services): Promise<Started> {
  const { configuration, variables, log, signal } = run
  const set = configuration.port ?? portOf(variables)
  const guessed = set === null ? guessPort(image.exposedPorts) : null
  const port = set ?? guessed?.port ?? image.exposedPorts[0] ?? 0
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
  const where = guessed ? placesOf(guessed) : `port ${port}`
  log.system(`Started ${containers.join(', ')}; waiting for an answer on ${where}`)
  return { containers, port, guessed }
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

function placesOf({ port, exposed }: GuessedPort): string {
  if (exposed.length > 0) return `the one of ports ${exposed.join(', ')} that speaks HTTP`
  return `the port that it listens on (the image exposes none; PORT is ${port})`
}
