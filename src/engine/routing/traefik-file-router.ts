import { mkdir } from 'node:fs/promises'
import type { Queryable } from '../sql/queryable.js'
import { RouteFiles } from './route-files.js'
import type { ProbeRequest, Router, RouterDependencies, Switch } from './router.js'
import { readRoutes, type StageRoutes } from './table.js'
import { dynamicFile, epochHost, expectedOf, type TraefikEntries } from './traefik-dynamic.js'
import { servesHost, hasApplied, probeThrough } from './traefik-gateway.js'

export interface TraefikFileOptions extends TraefikEntries {
  /** The folder that Traefik's file provider watches. */
  readonly dir: string
  /** Traefik's entry point for HTTP. */
  readonly url: string
  /** Null: nobody asks whether Traefik has applied its configuration. */
  readonly api: string | null
  readonly baseDomain: string
  readonly instanceId: string
}

/** A lost wake-up is made up for after this; so is a file that somebody removed. */
const POLL_MS = 5_000
/** Of the workers of an installation one writes at a time. Any number will do as long as all versions agree. */
const LOCK = 7_305_517_100

/**
 * Traefik by its file provider: one file for each stage. Traefik needs no Docker socket, and goes on by its files when
 * Longshore is away. A switch is done when Traefik has taken the file over, which is
 * `providers.providersThrottleDuration` after it was written at the latest: 2 s unless the operator says otherwise.
 */
export class TraefikFileRouter implements Router, AsyncDisposable {
  readonly #files: RouteFiles
  /** What Traefik has been told. */
  #told: ReadonlyMap<string, StageRoutes> = new Map()
  /** Said once, until it is another sentence: the same trouble is met at each poll. */
  readonly #said = new Map<string, string>()
  #running: Promise<void> = Promise.resolve()
  #waiting: Promise<void> | null = null
  #poll: NodeJS.Timeout | undefined
  #unsubscribe: () => void = () => undefined

  constructor(
    private readonly dependencies: RouterDependencies,
    private readonly options: TraefikFileOptions,
  ) {
    this.#files = new RouteFiles(options.dir, options.instanceId)
  }

  get name(): string {
    return `traefik ${this.options.url}`
  }

  /** Writes what the database says, and follows it. @throws when the folder cannot be written to */
  async start(): Promise<void> {
    await mkdir(this.options.dir, { recursive: true })
    await this.apply()
    const follow = () =>
      void this.apply().catch((error: unknown) =>
        this.dependencies.logger.warn("could not write Traefik's files", { error }),
      )
    this.#unsubscribe = this.dependencies.wakeups.on('route', follow)
    this.#poll = setInterval(follow, POLL_MS)
  }

  /** One after another; calls that come while one is under way share the next. */
  apply(): Promise<void> {
    this.#waiting ??= this.#running.then(() => {
      this.#waiting = null
      return this.#project()
    })
    this.#running = this.#waiting.catch(() => undefined)
    return this.#waiting
  }

  probe(request: ProbeRequest): Promise<string | null> {
    return probeThrough(this.options.url, request)
  }

  /**
   * By Traefik's API. Null when none is set or it is away. False for up to `providersThrottleDuration` after a switch,
   * so a time-out for it has to be longer than that.
   */
  async isRoutedTo(stageId: string, deploymentId: string): Promise<boolean | null> {
    const stage = this.#told.get(stageId)
    const expected = stage && expectedOf(stage, this.options)
    if (!expected || stage.current?.deploymentId !== deploymentId) return false
    return this.options.api === null ? null : hasApplied(this.options.api, expected)
  }

  /** By Traefik's API; where none is set, by a host that its file has for this question alone. */
  async hasSwitched({ stageId, deploymentId, routeEpoch }: Switch): Promise<boolean> {
    const stage = this.#told.get(stageId)
    if (!stage || stage.routeEpoch < routeEpoch || stage.current?.deploymentId !== deploymentId) return false
    if (this.options.api !== null) return (await this.isRoutedTo(stageId, deploymentId)) === true
    return servesHost(this.options.url, epochHost(stage))
  }

  /** Traefik does not say what is under way: a drain takes its whole time. */
  inFlight(): null {
    return null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#poll)
    this.#unsubscribe()
    await this.#running
  }

  /**
   * Reads and writes under a lock of the database: another worker's files cannot come between, so they only go forward.
   * The epoch on disk is the second guard, for a worker that slept so long that its connection and lock were gone.
   */
  async #project(): Promise<void> {
    await this.dependencies.database.transaction(async (manager) => {
      await manager.query(`SET LOCAL lock_timeout = '5s'`)
      await manager.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
      await this.#write(manager)
    })
  }

  async #write(manager: Queryable): Promise<void> {
    const stages = await readRoutes(manager, this.options.baseDomain)
    const told = new Map<string, StageRoutes>()
    const kept = new Set<string>()
    const failures: unknown[] = []
    for (const stage of stages) {
      try {
        const text = dynamicFile(stage, this.options)
        if (text !== null) kept.add(stage.stageId)
        if (text === null || (await this.#put(stage, text))) told.set(stage.stageId, stage)
      } catch (error) {
        kept.add(stage.stageId) // what it has is better than nothing
        failures.push(error)
      }
    }
    this.#told = told
    await this.#files.keepOnly(kept)
    // One stage's trouble is not the others', but it is said.
    if (failures.length > 0) throw failures[0]
  }

  async #put(stage: StageRoutes, text: string): Promise<boolean> {
    const isOlder = (await this.#files.write(stage.stageId, text)) === 'older'
    const words = isOlder ? `route_epoch ${stage.routeEpoch}` : ''
    if (isOlder && this.#said.get(stage.stageId) !== words) {
      const advice = 'if the database was restored from a backup, remove the file'
      this.dependencies.logger.warn('kept a Traefik file: it is of a later switch', {
        stage: stage.stageId,
        words,
        advice,
      })
    }
    this.#said.set(stage.stageId, words)
    return !isOlder
  }
}
