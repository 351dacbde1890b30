import { readFile } from 'node:fs/promises'
import { dockerEnvironment } from './environment.js'
import type { Core } from './core.js'
import { openGit } from './git.js'
import { Disposal } from './disposal.js'
import { clearStaleAddresses } from './engine/traffic/stale-addresses.js'
import { CommitStatuses } from './engine/webhooks/commit-status.js'
import type { Docker } from './engine/docker/docker.js'
import { Dockerode } from './engine/docker/dockerode.js'
import { findEngine } from './engine/docker/find-engine.js'
import { Engine } from './engine/engine.js'
import { createFailpoint } from './engine/failpoints.js'
import { ForgeClient } from './engine/forges/forge-client.js'
import { openCaBundle } from './engine/git/ca-bundle.js'
import { Housekeeper } from './engine/upkeep/housekeeping.js'
import { PushComparer } from './engine/pushes/push-comparer.js'
import { RepositoryPoller } from './engine/pushes/repository-poller.js'
import { LeaseKeeper } from './engine/queue/lease.js'
import { WorkerHeartbeat } from './engine/presence/worker-heartbeat.js'
import { Announcer } from './engine/traffic/announcer.js'
import { Reconciler } from './engine/traffic/reconcile.js'
import { Recoverer } from './engine/upkeep/recover.js'
import { BuiltinRouter } from './engine/routing/builtin-router.js'
import { fitted } from './engine/routing/connection-limits.js'
import { NoRouter, type Router } from './engine/routing/router.js'
import { TraefikFileRouter } from './engine/routing/traefik-file-router.js'
import { TraefikLabelsRouter } from './engine/routing/traefik-labels-router.js'
import { RefsAnswerer } from './engine/repositories/refs-answerer.js'
import { RuntimeLogFollower } from './engine/runtime-logs/follower.js'
import type { Services } from './engine/services.js'
import { Watcher } from './engine/traffic/watch.js'

/** A started worker. Disposing hands over first; containers go on serving. */
export interface StartedWorker extends AsyncDisposable {
  /** Where the built-in router listens; null when it is off. */
  readonly routerPort: number | null
  /** Deployments that wait are another worker's from now on. */
  stopClaiming(): void
  /** Lets deployments end within the grace time and gives the others back to the queue; the router serves on. */
  handOver(): Promise<void>
}

/**
 * Wires Docker, git and the router into an engine and starts it.
 *
 * @param failpoint called before and after each step; by default the setting FAILPOINT says where the process dies
 */
export async function startWorker(
  core: Core,
  failpoint = createFailpoint(core.config.failpoint),
): Promise<StartedWorker> {
  const { config, logger, hub } = core
  const opened = new Disposal()
  try {
    const leases = opened.use(new LeaseKeeper(core.databaseUrl, config.leaseMs, logger))
    const caBundle = await openCaBundle(config)
    const git = await openGit(core, caBundle)
    const forges = new ForgeClient(caBundle && (await readFile(caBundle, 'utf8')))
    opened.defer(() => forges[Symbol.dispose]())
    const docker = openDocker(core)
    // Before anything is routed: the machine may have been started anew since the addresses were stored.
    await clearStaleAddresses({ ...core, docker }, core.instanceId)
    const { router, port: routerPort } = await startRouter(core, opened)
    const services = createServices(core, { git, docker, router, failpoint })
    const heartbeat = opened.use(
      new WorkerHeartbeat({ ...core, docker: services.docker }, config.workerId, router.name),
    )
    await heartbeat.start()
    startRepeated({ ...services, forges }, config, opened)
    const follower = opened.use(new RuntimeLogFollower({ ...core, docker: services.docker }, config.workerId))
    follower.start()
    const engine = new Engine({ services, hub, leases }, config)
    opened.defer(() => engine.stop())
    engine.start()
    return {
      routerPort,
      stopClaiming: () => engine.stopClaiming(),
      handOver: () => engine.stop(),
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    }
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

/** What a worker does again and again beside its deployments. */
function startRepeated(
  services: Services & { readonly forges: ForgeClient },
  { workerId, reconcileMs }: Core['config'],
  opened: Disposal,
): void {
  for (const repeated of [
    new Recoverer(services),
    new Reconciler(services),
    new Announcer(services),
    new Watcher(services),
    new Housekeeper(services),
    new CommitStatuses(services),
    new RefsAnswerer(services, workerId),
    new PushComparer(services),
    new RepositoryPoller(services, reconcileMs),
  ]) {
    opened.use(repeated)
    repeated.start()
  }
}

/** @throws ConfigError when what names the engine cannot be used */
function openDocker({ config, logger }: Core): Docker {
  const { host, from, warnings } = findEngine({
    ...dockerEnvironment(),
    DOCKER_HOST: config.dockerHost ?? undefined,
  })
  for (const warning of warnings) logger.warn(warning)
  logger.info('Docker engine', { host, from })
  // No warning: where nothing can be done about it, nobody is to be troubled with it in the middle of a build.
  const onUnlimited = () =>
    logger.info('BuildKit builds have no memory and CPU limits: see docs/configuration.md', {
      BUILD_CGROUP: config.buildCgroup,
    })
  return new Dockerode({ ...config, dockerHost: host, onUnlimited })
}

/** The router that ROUTER names; only the built-in one listens on a port of this process. */
async function startRouter(core: Core, opened: Disposal): Promise<{ router: Router; port: number | null }> {
  const { config, database, wakeups, logger } = core
  if (config.router === 'off') return { router: new NoRouter(), port: null }
  if (config.router === 'traefik-labels') {
    return { router: new TraefikLabelsRouter(config.traefik.url), port: null }
  }
  if (config.router === 'traefik') return { router: await startTraefik(core, opened), port: null }
  const { routerHost: host, routerPort: port, baseDomain, tlsDir, routerTlsPort } = config
  const tls = tlsDir === null ? null : { dir: tlsDir, port: routerTlsPort }
  const connections = fitted(config.routerConnections, { name: 'router' }, logger)
  const options = { host, port, baseDomain, tls, connections, trustedProxies: config.trustedProxies }
  const router = opened.use(new BuiltinRouter({ database, wakeups, logger }, options))
  await router.start()
  return { router, port: router.port() }
}

async function startTraefik(core: Core, opened: Disposal): Promise<Router> {
  const { config, database, wakeups, logger, instanceId } = core
  const { dir, url } = config.traefik
  if (dir === null || url === null) throw new Error('ROUTER=traefik needs TRAEFIK_DIR')
  const options = { ...config.traefik, dir, url, baseDomain: config.baseDomain, instanceId }
  const router = opened.use(new TraefikFileRouter({ database, wakeups, logger }, options))
  await router.start()
  return router
}

function createServices(
  core: Core,
  adapters: Pick<Services, 'git' | 'docker' | 'router' | 'failpoint'>,
): Services {
  const { config, database, wakeups, secrets, logger, instanceId } = core
  return {
    ...{ database, wakeups, secrets, logger },
    ...adapters,
    settings: { ...config, instanceId },
  }
}
