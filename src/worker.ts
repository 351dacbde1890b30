import type { DataSource } from 'typeorm'
import type { Config } from './config.js'
import { createDockerode } from './engine/docker/dockerode.js'
import { Engine } from './engine/engine.js'
import { createGitBinary } from './engine/git/git-binary.js'
import { LeaseKeeper } from './engine/lease.js'
import type { LogHub } from './engine/logs/hub.js'
import { Recoverer } from './engine/recover.js'
import { BuiltinRouter } from './engine/routing/builtin-router.js'
import type { SecretBox } from './engine/secrets.js'
import type { Tools } from './engine/steps/context.js'
import type { Wakeups } from './engine/wakeups.js'
import { Presence } from './engine/presence.js'
import type { Logger } from './logger.js'

/** What both roles of a process share. */
export interface Shared {
  readonly config: Config
  readonly databaseUrl: string
  readonly database: DataSource
  readonly instanceId: string
  readonly wakeups: Wakeups
  readonly hub: LogHub
  readonly secrets: SecretBox
  readonly logger: Logger
}

/** A started worker. Disposing lets deployments end within the grace time; containers go on serving. */
export interface StartedWorker extends AsyncDisposable {
  /** Where the built-in router listens; null when it is off. */
  readonly routerPort: number | null
}

/** Wires Docker, git and the router into an engine and starts it. */
export async function startWorker(shared: Shared): Promise<StartedWorker> {
  const { config, database, wakeups, logger } = shared
  const router = config.router === 'builtin' ? createRouter(shared) : null
  const tools = createTools(shared, router)
  const leases = new LeaseKeeper(shared.databaseUrl, config.leaseMs, logger)
  const engine = new Engine(
    { database, tools, hub: shared.hub, leases, secrets: shared.secrets, logger },
    config,
  )
  const recoverer = new Recoverer(database, tools, logger)
  const presence = new Presence(database, tools.docker, config.workerId)
  try {
    await router?.start()
    await presence.start()
  } catch (error) {
    await leases[Symbol.asyncDispose]()
    throw error
  }
  recoverer.start()
  engine.start()
  return {
    routerPort: router?.port() ?? null,
    async [Symbol.asyncDispose]() {
      await engine.stop()
      await recoverer[Symbol.asyncDispose]()
      await presence[Symbol.asyncDispose]()
      await router?.[Symbol.asyncDispose]()
      await leases[Symbol.asyncDispose]()
    },
  }
}

function createRouter({ config, database, wakeups, logger }: Shared): BuiltinRouter {
  const { routerHost: host, routerPort: port, baseDomain } = config
  return new BuiltinRouter(database, wakeups, logger, { host, port, baseDomain })
}

function createTools(shared: Shared, router: BuiltinRouter | null): Tools {
  const { config, database, wakeups, instanceId } = shared
  return {
    database,
    wakeups,
    git: createGitBinary({ ...config, timeoutMs: config.cloneTimeoutMs }),
    docker: createDockerode(config),
    applyRoutes: async () => router?.refresh(),
    inFlight: (deploymentId) => router?.inFlight(deploymentId) ?? 0,
    settings: { ...config, instanceId },
  }
}
