import { DeploymentStatus } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import type { Image } from '../docker/docker.js'
import { LostClaimError } from '../errors.js'
import { type ContainerOwner, containerRequests } from './containers.js'
import { untilHealthy } from './check.js'
import { step, type Services, type DeploymentRun } from './deployment-run.js'

/** Containers that answer. */
export interface Started {
  readonly containers: readonly string[]
  readonly addresses: readonly string[]
  readonly port: number
}

const DEFAULT_PORT = 80
const STABLE_MS = 3_000

/**
 * Containers of the image, one for each replica, beside whatever serves now, that are up and accept connections on
 * their port. Those that an earlier attempt of the same deployment made are replaced: whoever made them may be slow
 * and not dead, and still be about to remove them.
 *
 * @throws DeployError EXITED, OUT_OF_MEMORY, UNHEALTHY with the container's last lines
 */
export async function start(
  run: DeploymentRun,
  image: Image,
  services: Services,
  signal: AbortSignal,
): Promise<Started> {
  const { deployment, configuration, variables, log } = run
  const port = configuration.port ?? portOf(variables) ?? choosePort(image, log)
  const plan = { imageId: image.id, port, configuration, variables }
  const requests = containerRequests(ownerOf(run, services), plan)
  const { docker } = services
  // A call under way is waited for, not broken off: what it makes has to be there when it is undone.
  await step(services, 'create', () =>
    mapAbortingOthers(requests, signal, (one) => docker.createContainer(one, signal)),
  )
  await step(services, 'start', () =>
    mapAbortingOthers(requests, signal, (one) => docker.startContainer(one.name, signal)),
  )
  const containers = requests.map(({ name }) => name)
  log.system(`Started ${containers.join(', ')}; waiting for an answer on port ${port}`)
  const stableMs = await stableFor(run, services)
  const addresses = await step(services, 'check', () =>
    mapAbortingOthers(containers, signal, (container, on) =>
      untilHealthy(run, { container, port }, stableMs, services, on),
    ),
  )
  await step(services, 'record', async () => {
    const result = await services.database
      .getRepository(Deployment)
      .update({ id: deployment.id, epoch: run.claim.epoch }, { container: containers[0], addresses, port })
    if (result.affected === 0) throw new LostClaimError(deployment.id)
  })
  return { containers, addresses, port }
}

export function ownerOf(
  { app, stage, deployment }: Pick<DeploymentRun, 'app' | 'stage' | 'deployment'>,
  services: Services,
): ContainerOwner {
  const { instanceId, baseDomain, router } = services.settings
  return {
    appId: app.id,
    appName: app.name,
    stageId: stage.id,
    stageName: stage.name,
    deploymentId: deployment.id,
    epoch: deployment.epoch,
    instanceId,
    baseDomain,
    carriesStage: router === 'traefik-labels',
  }
}

/** All at once. The first that fails aborts the work on the others, and nothing of it goes on when this rejects. */
async function mapAbortingOthers<T, R>(
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

/** How long it has to stay healthy: while nothing serves yet, nothing can be made worse by going on. */
async function stableFor({ configuration, stage }: DeploymentRun, services: Services): Promise<number> {
  const { stableSeconds } = configuration.health
  if (stableSeconds !== null) return stableSeconds * 1000
  const serving = { stageId: stage.id, status: DeploymentStatus.RUNNING }
  return (await services.database.getRepository(Deployment).existsBy(serving)) ? STABLE_MS : 0
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
      ? `The image exposes no port (EXPOSE); taking ${chosen}`
      : `The image exposes ${ports.join(', ')}; taking ${chosen}`,
  )
  return chosen
}
