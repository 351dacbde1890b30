import { join } from 'node:path'
import type { DataSource } from 'typeorm'
import { createDataSource } from '../../src/database.js'
import { Disposal } from '../../src/disposal.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { Engine } from '../../src/engine/engine.js'
import { LostClaimError } from '../../src/engine/errors.js'
import { Housekeeper } from '../../src/engine/upkeep/housekeeping.js'
import { LeaseKeeper } from '../../src/engine/queue/lease.js'
import { LogHub } from '../../src/engine/logs/hub.js'
import { Announcer } from '../../src/engine/traffic/announcer.js'
import { Reconciler } from '../../src/engine/traffic/reconcile.js'
import { Recoverer } from '../../src/engine/upkeep/recover.js'
import type { Router } from '../../src/engine/routing/router.js'
import type { SecretBox } from '../../src/engine/secrets/secrets.js'
import type { Services } from '../../src/engine/services.js'
import type { Wakeups } from '../../src/engine/wakeups/wakeups.js'
import { Watcher } from '../../src/engine/traffic/watch.js'
import type { Logger } from '../../src/logger.js'
import { UNLIMITED } from '../support/docker-engines.js'
import type { FakeDocker } from '../support/fake-docker/fake-docker.js'
import type { MemoryGit } from './memory-git.js'
import { type Activity, Wire } from '../support/wire.js'

/** How long processes wait for Docker: not long while commands let requests hang, as a time-out is one more way to fail. */
export class Patience {
  isShort = true

  get dockerTimeoutMs(): number {
    return this.isShort ? 300 : 60_000
  }

  get buildSilenceMs(): number {
    return 2 * this.dockerTimeoutMs
  }
}

/** What all simulated processes live in. */
export interface Surroundings {
  readonly databaseUrl: string
  readonly docker: FakeDocker
  readonly git: MemoryGit
  readonly wakeups: Wakeups
  readonly secrets: SecretBox
  readonly activity: Activity
  readonly patience: Patience
  readonly instanceId: string
  /** For sockets. */
  readonly folder: string
  readonly logger: (processId: string) => Logger
}

/** A timer that never ends within a test. */
const NEVER_MS = 2 ** 30
/** Renewed and checked by commands, not by its timers. */
const LEASE_MS = 600_000
const SETTINGS = {
  dataDir: '/',
  baseDomain: 'localhost',
  router: 'builtin' as const,
  publicPort: 80,
  imagePrefix: 'mvp',
  builder: 'classic' as const,
  baseImages: { node: '', python: '', go: '', rust: '', runtime: '', static: '' },
  fetchRetryMs: 0,
  maxMirrorBytes: 0,
  buildTimeoutMs: 60_000,
  buildCacheBytes: 0,
  leaseMs: LEASE_MS,
  drainMs: 0,
  watchMs: 600_000,
  confirmMs: 0,
  maxContextBytes: 1024 ** 3,
  maxContextFiles: 1_000,
  minFreeDiskBytes: 0,
  keepReleases: 1,
  logRetentionDays: 30,
  allowFileRepos: true,
}

/** Obeys, and nothing is under way at it: what served is stopped at once. */
const IDLE_ROUTER: Router = {
  name: null,
  apply: () => Promise.resolve(),
  probe: () => Promise.resolve(null),
  isRoutedTo: () => Promise.resolve(null),
  hasSwitched: () => Promise.resolve(true),
  inFlight: () => 0,
}

export type ProcessKind = 'engine' | 'keeper'

/**
 * One process of Longshore: an `engine` deploys, a `keeper` rescues, reconciles, watches and cleans up. In production
 * one process does both; apart, one may die or stall without the other. It acts when a command says so.
 */
export class SimProcess {
  state: 'up' | 'stalled' | 'leaving' | 'dead' = 'up'
  readonly engine: Engine
  readonly leases: LeaseKeeper
  readonly reconciler: Reconciler
  readonly watcher: Watcher
  readonly services: Services
  #resumed: (() => void)[] = []
  readonly #gone: Promise<void>
  #sayGone: () => void = () => undefined

  private constructor(
    readonly id: string,
    private readonly surroundings: Surroundings,
    private readonly wires: { readonly postgres: Wire; readonly docker: Wire },
    private readonly database: DataSource,
    urls: { readonly postgres: string; readonly docker: string },
  ) {
    this.#gone = new Promise((resolve) => (this.#sayGone = resolve))
    const { secrets, wakeups, git, instanceId, patience } = surroundings
    const logger = surroundings.logger(id)
    const docker = new Dockerode({
      dockerHost: urls.docker,
      builder: 'classic',
      ...UNLIMITED,
      get dockerTimeoutMs() {
        return patience.dockerTimeoutMs
      },
      get buildSilenceMs() {
        return patience.buildSilenceMs
      },
    })
    const services = {
      ...{ database, wakeups, secrets, logger, docker },
      git: git.portFor(() => this.#turn()),
      router: IDLE_ROUTER,
      failpoint: () => undefined,
      settings: { ...SETTINGS, instanceId },
    }
    this.services = services
    this.leases = new LeaseKeeper(urls.postgres, LEASE_MS, logger)
    const hub = new LogHub(database, wakeups)
    const options = { workerId: id, concurrency: 2, totalConcurrency: null, leaseMs: LEASE_MS }
    this.engine = new Engine(
      { services, hub, leases: this.leases },
      { ...options, pollMs: NEVER_MS, stopGraceMs: 0 },
    )
    this.reconciler = new Reconciler(services, NEVER_MS)
    this.watcher = new Watcher(services, NEVER_MS)
  }

  static async start(id: string, kind: ProcessKind, surroundings: Surroundings): Promise<SimProcess> {
    const { databaseUrl, docker, activity, folder } = surroundings
    const server = new URL(databaseUrl)
    const target = { host: server.hostname, port: Number(server.port) }
    const path = join(folder, `${id}.sock`)
    const wires = {
      postgres: await Wire.open(target, activity, { port: 0 }),
      docker: await Wire.open({ path: docker.socketPath }, activity, { path }),
    }
    server.hostname = '127.0.0.1'
    server.port = String(wires.postgres.port)
    const urls = { postgres: server.href, docker: `unix://${path}` }
    // Its name is seen by the triggers of audit.ts.
    const database = await createDataSource(server.href).setOptions({ applicationName: id }).initialize()
    const process = new SimProcess(id, surroundings, wires, database, urls)
    if (kind === 'engine') process.engine.start()
    return process
  }

  /** Takes back what dead processes hold, finishes deletions, and announces what they have not. */
  async recover(): Promise<void> {
    const recoverer = new Recoverer(this.services, NEVER_MS)
    recoverer.start()
    await recoverer[Symbol.asyncDispose]()
    await new Announcer(this.services, NEVER_MS).runOnce()
  }

  async clean(): Promise<void> {
    await new Housekeeper(this.services, NEVER_MS).clean()
  }

  /** What it is asked to do. Ends with the process: whoever waits for a connection of a closed pool waits for ever. */
  doing(work: Promise<unknown>): Promise<unknown> {
    return Promise.race([work, this.#gone])
  }

  /** From now on it does not get a word out, and notices nothing of it. */
  stall(): void {
    if (this.state !== 'up') return
    this.state = 'stalled'
    for (const wire of Object.values(this.wires)) wire.stall()
  }

  /** Goes on where it was, as if no time had passed. */
  resume(): void {
    if (this.state !== 'stalled') return
    this.state = 'up'
    for (const wire of Object.values(this.wires)) wire.resume()
    for (const resume of this.#resumed.splice(0)) resume()
  }

  /** From now on it has no effect on anything. What its code still tries fails; resolves when it has given up. */
  async crash(): Promise<void> {
    this.state = 'dead'
    for (const wire of Object.values(this.wires)) wire.cut()
    // A log waits for the database for as long as it takes, which for a dead process is for ever.
    this.database.query = () => Promise.reject(new LostClaimError('of a dead process'))
    for (const resume of this.#resumed.splice(0)) resume()
    await this.#end()
  }

  /** Ends in good order: what is under way is handed over. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.state === 'dead' || this.state === 'leaving') return
    this.resume()
    this.state = 'leaving'
    await this.#end()
    this.state = 'dead'
  }

  async #end(): Promise<void> {
    const opened = new Disposal()
    opened.use(this.wires.postgres)
    opened.use(this.wires.docker)
    opened.defer(() => this.database.destroy())
    opened.use(this.leases)
    opened.use(this.watcher)
    opened.use(this.reconciler)
    opened.defer(() => this.engine.stop())
    await opened[Symbol.asyncDispose]().catch(() => undefined) // the database is away for it
    this.#sayGone()
  }

  async #turn(): Promise<void> {
    if (this.state === 'stalled') await new Promise<void>((resolve) => this.#resumed.push(resolve))
    if (this.state === 'dead') throw new Error('the process is dead')
  }
}
