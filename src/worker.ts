import type { Core } from './core.js'
import { Disposal } from './disposal.js'
import { Dockerode } from './engine/docker/dockerode.js'
import { Engine } from './engine/engine.js'
import { createFailpoint } from './engine/failpoints.js'
import { createGitBinary } from './engine/git/git-binary.js'
import { Housekeeper } from './engine/housekeeping.js'
import { LeaseKeeper } from './engine/lease.js'
import { Reconciler } from './engine/reconcile.js'
import { Recoverer } from './engine/recover.js'
import { BuiltinRouter } from './engine/routing/builtin-router.js'
import type { Tools } from './engine/steps/context.js'
import { Presence } from './engine/presence.js'

/** A started worker. Disposing lets deployments end within the grace time; containers go on serving. */
export interface StartedWorker extends AsyncDisposable {
  /** Where the built-in router listens; null when it is off. */
  readonly routerPort: number | null
}

/** Wires Docker, git and the router into an engine and starts it. */
export async function startWorker(core: Core): Promise<StartedWorker> {
  const { config, database, logger, hub, secrets } = core
  const opened = new Disposal()
  try {
    const leases = opened.use(new LeaseKeeper(core.databaseUrl, config.leaseMs, logger))
    const router = config.router === 'builtin' ? createRouter(core) : null
    if (router) {
      await router.start()
      opened.use(router)
    }
    const tools = createTools(core, router)
    const presence = opened.use(new Presence(database, tools.docker, config.workerId))
    await presence.start()
    const recoverer = opened.use(new Recoverer(database, tools, logger))
    recoverer.start()
    const reconciler = opened.use(new Reconciler(database, tools, secrets, logger))
    reconciler.start()
    const housekeeper = opened.use(new Housekeeper(database, tools, logger))
    housekeeper.start()
    const engine = new Engine({ database, tools, hub, leases, secrets, logger }, config)
    opened.defer(() => engine.stop())
    engine.start()
    return { routerPort: router?.port() ?? null, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

function createRouter({ config, database, wakeups, logger }: Core): BuiltinRouter {
  const { routerHost: host, routerPort: port, baseDomain } = config
  return new BuiltinRouter(database, wakeups, logger, { host, port, baseDomain })
}

function createTools(core: Core, router: BuiltinRouter | null): Tools {
  const { config, database, wakeups, instanceId } = core
  return {
    database,
    wakeups,
    git: createGitBinary({ ...config, timeoutMs: config.cloneTimeoutMs }),
    docker: new Dockerode(config),
    applyRoutes: async () => router?.refresh(),
    inFlight: (deploymentId) => router?.inFlight(deploymentId) ?? null,
    reach: createFailpoint(config.failpoint),
    settings: { ...config, instanceId },
  }
}
