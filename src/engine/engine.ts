import { setTimeout as sleep } from 'node:timers/promises'
import type { DataSource } from 'typeorm'
import { App } from '../entities/app.js'
import type { Configuration } from '../entities/configuration.js'
import { DeploymentStatus } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'
import { Stage } from '../entities/stage.js'
import type { Logger } from '../logger.js'
import { asBuilt, readConfiguration } from './configuration.js'
import { deploy } from './deploy.js'
import { HandOverError, LostClaimError } from './errors.js'
import { lockKeyShared } from './secrets/instance.js'
import type { LeaseKeeper } from './claims/lease.js'
import type { LogHub } from './logs/hub.js'
import { LogWriter } from './logs/writer.js'
import { claimNext, hasClaimable, logWaiting } from './claims/queue.js'
import type { SecretBox } from './secrets/secrets.js'
import { settleFailure } from './claims/settle-failure.js'
import type { Claim } from './states.js'
import { step, type Services, type DeploymentRun } from './steps/deployment-run.js'
import { retire } from './steps/retire.js'
import { openConfiguration } from './secrets/variables.js'
import { ManualResetEvent } from './wakeups/manual-reset-event.js'

/** How long an answer of the Docker engine lets deployments be claimed without another. */
const DOCKER_ANSWER_MS = 2_000

const CONTENTION_MS = 50

export interface EngineOptions {
  readonly workerId: string
  readonly concurrency: number
  /** Over all processes; null: no limit but each process's own. */
  readonly totalConcurrency: number | null
  readonly leaseMs: number
  readonly pollMs: number
  readonly stopGraceMs: number
}

export interface EngineDependencies {
  readonly database: DataSource
  readonly services: Services
  readonly hub: LogHub
  readonly leases: LeaseKeeper
  readonly secrets: SecretBox
  readonly logger: Logger
}

/**
 * The loop: a free slot → claim → deploy → settle. Woken by notifications; the poll is the truth.
 *
 * While the Docker engine does not answer nothing is claimed: deployments wait and say so.
 */
export class Engine {
  readonly #running = new Set<{ abort: AbortController; done: Promise<void> }>()
  readonly #retiring = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  readonly #handingOver = new AbortController()
  readonly #changed = new ManualResetEvent()
  #loop: Promise<void> = Promise.resolve()
  #unsubscribes: (() => void)[] = []
  #dockerAnsweredAt = -Infinity

  constructor(
    private readonly dependencies: EngineDependencies,
    private readonly options: EngineOptions,
  ) {}

  start(): void {
    const { wakeups } = this.dependencies.services
    this.#unsubscribes = [
      wakeups.on('queue', () => this.lookForWork()),
      wakeups.on('cancel', () => void this.dependencies.leases.renew()),
    ]
    this.#loop = this.#run()
  }

  /** Looks for work now. */
  lookForWork(): void {
    this.#changed.set()
  }

  /** Claims nothing more; what is under way goes on. */
  stopClaiming(): void {
    this.#stopping.abort()
    this.lookForWork()
  }

  /** Stops claiming, waits for what is under way, and after the grace time gives it back to the queue. */
  async stop(): Promise<void> {
    this.stopClaiming()
    await this.#loop
    for (const unsubscribe of this.#unsubscribes) unsubscribe()
    const all = Promise.all([...this.#running].map((deployment) => deployment.done))
    const timer = new AbortController()
    await Promise.race([
      all,
      sleep(this.options.stopGraceMs, undefined, { signal: timer.signal }).catch(() => undefined),
    ])
    timer.abort()
    this.#handingOver.abort()
    for (const { abort } of this.#running) abort.abort(new HandOverError('this worker is stopping'))
    await all
    await Promise.allSettled(this.#retiring)
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#changed.clear()
      try {
        await this.#fillSlots()
      } catch (error) {
        this.dependencies.logger.warn('could not read the queue; retrying', {
          error: (error as Error).message,
        })
      }
      await this.#changed.wait(this.options.pollMs)
    }
  }

  async #fillSlots(): Promise<void> {
    const { database, services } = this.dependencies
    // The poll also sees who is to be cancelled, in case the announcement was lost.
    if (this.#running.size > 0) void this.dependencies.leases.renew()
    while (this.#running.size < this.options.concurrency && !this.#stopping.signal.aborted) {
      if (!(await hasClaimable(database)) || !(await this.#dockerAnswers())) return
      const askedAt = performance.now()
      const deployment = await step(services, 'claim', () =>
        claimNext(database, services.wakeups, this.options),
      )
      if (deployment) this.#begin(deployment, askedAt)
      else if (this.options.totalConcurrency !== null) return
      else await sleep(CONTENTION_MS) // somebody had the rows locked for a moment
    }
  }

  /** An answer counts for a while: what is claimed meanwhile fails by itself if the engine went away. */
  async #dockerAnswers(): Promise<boolean> {
    if (performance.now() - this.#dockerAnsweredAt < DOCKER_ANSWER_MS) return true
    try {
      await this.dependencies.services.docker.ping()
      this.#dockerAnsweredAt = performance.now()
      return true
    } catch (error) {
      const reason = `${(error as Error).message}. The deployment starts by itself when the engine can be used.`
      await logWaiting(this.dependencies.database, this.dependencies.services.wakeups, reason)
      return false
    }
  }

  #begin(deployment: Deployment, claimedAt: number): void {
    const abort = new AbortController()
    const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
    const release = this.dependencies.leases.hold(claim, claimedAt, (reason) => abort.abort(reason))
    const done = this.#work(deployment, claim, abort).finally(() => {
      release()
      this.#running.delete(running)
      // Here and in other processes: the stage, and a place under the limit over all, are free again.
      this.dependencies.services.wakeups.queueChanged()
    })
    const running = { abort, done }
    this.#running.add(running)
  }

  /** Never rejects: how a deployment ends is a result. */
  async #work(deployment: Deployment, claim: Claim, abort: AbortController): Promise<void> {
    const { logger, services } = this.dependencies
    let log: LogWriter | null = null
    try {
      const run = await this.#prepare(deployment, claim, abort)
      log = run.log
      const replaced = await deploy(run, services, abort.signal, (error) =>
        logger.warn('could not undo a step', { deployment: deployment.id, error }),
      )
      logger.info('deployment is running', { deployment: deployment.id, app: run.app.name })
      if (replaced) this.#retire(replaced)
    } catch (reason) {
      const stopped = { deployment, claim, log, reason, handingOver: this.#handingOver.signal }
      await settleFailure(this.dependencies, stopped).catch((failure: unknown) => {
        if (failure instanceof LostClaimError) logger.warn(failure.message)
        else logger.error('could not settle a deployment', { deployment: deployment.id, error: failure })
      })
    } finally {
      log?.close()
    }
  }

  async #prepare(deployment: Deployment, claim: Claim, abort: AbortController): Promise<DeploymentRun> {
    const { database, hub, secrets, logger } = this.dependencies
    const app = await database.getRepository(App).findOneByOrFail({ id: deployment.appId })
    const stage = await database.getRepository(Stage).findOneByOrFail({ id: deployment.stageId })
    const configuration =
      deployment.configuration ?? (await this.#pinConfiguration(app, stage, deployment, claim))
    const opened = openConfiguration(secrets, stage.id, configuration)
    const options = {
      deploymentId: deployment.id,
      epoch: claim.epoch,
      secrets: [...opened.variables.values(), ...opened.buildSecrets.values()],
      onStop: (reason: Error) => abort.abort(reason),
      onWait: (error: unknown) =>
        logger.warn('could not store a deployment log; retrying', { deployment: deployment.id, error }),
    }
    const log = new LogWriter(database, hub, options, DeploymentStatus.CLONING)
    // What is tried again, or built again, is fetched from where it was, also where the app has been changed since.
    const pinned = { ...app, branch: stage.branch ?? app.branch, ...configuration.source }
    return { claim, deployment, app: pinned, stage, configuration, ...opened, log }
  }

  #pinConfiguration(app: App, stage: Stage, { imageId }: Deployment, claim: Claim): Promise<Configuration> {
    return this.dependencies.database.transaction(async (manager) => {
      await lockKeyShared(manager)
      const present = await readConfiguration(manager, app, stage)
      const configuration = imageId ? await asBuilt(manager, present, app.id, imageId) : present
      const pinned = { id: claim.deploymentId, epoch: claim.epoch }
      const result = await manager.update(Deployment, pinned, { configuration })
      if (result.affected === 0) throw new LostClaimError(claim.deploymentId)
      return configuration
    })
  }

  /** Off the critical path: the new version serves already. What it cannot remove, reconcile.ts does. */
  #retire(replaced: Parameters<typeof retire>[0]): void {
    const { logger, services } = this.dependencies
    const retiring = retire(replaced, services, this.#stopping.signal).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) logger.warn('could not retire a container', { ...replaced, error })
    })
    this.#retiring.add(retiring)
    void retiring.finally(() => this.#retiring.delete(retiring))
  }
}
