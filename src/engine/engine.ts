import { setTimeout as sleep } from 'node:timers/promises'
import { App } from '../entities/app.js'
import type { Configuration } from '../entities/configuration.js'
import { Deployment } from '../entities/deployment.js'
import { Stage } from '../entities/stage.js'
import { asBuilt, readConfiguration } from './configuration/configuration.js'
import { deploy } from './deploy.js'
import { HandOverError, LostClaimError } from './errors.js'
import { lockKeyShared } from './secrets/instance.js'
import type { LeaseKeeper } from './queue/lease.js'
import type { LogHub } from './logs/hub.js'
import { LogWriter } from './logs/writer.js'
import { claimNext, hasClaimable, logWaiting } from './queue/claim.js'
import { settleFailure } from './queue/settle-failure.js'
import type { Claim } from './queue/states.js'
import { step, type Services } from './services.js'
import type { DeploymentRun } from './steps/deployment-run.js'
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
  readonly services: Services
  readonly hub: LogHub
  readonly leases: LeaseKeeper
}

/**
 * The loop: a free slot → claim → deploy → settle. Woken by notifications; the poll is the truth.
 *
 * While the Docker engine does not answer nothing is claimed: deployments wait and say so.
 */
export class Engine {
  readonly #running = new Set<{ abort: AbortController; done: Promise<void> }>()
  readonly #inBackground = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  readonly #handingOver = new AbortController()
  readonly #changed = new ManualResetEvent()
  #loop: Promise<void> = Promise.resolve()
  #unsubscribes: (() => void)[] = []
  #stopped: Promise<void> | null = null
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

  /** Stops claiming, waits for what is under way, and after the grace time gives it back to the queue; once. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }

  async #stop(): Promise<void> {
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
    await Promise.allSettled(this.#inBackground)
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#changed.clear()
      try {
        await this.#fillSlots()
      } catch (error) {
        this.dependencies.services.logger.warn('could not read the queue; retrying', {
          error: (error as Error).message,
        })
      }
      await this.#changed.wait(this.options.pollMs)
    }
  }

  async #fillSlots(): Promise<void> {
    const { services } = this.dependencies
    const { database } = services
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
      const reason = `${(error as Error).message}. The deployment starts automatically once the engine is available.`
      await logWaiting(this.dependencies.services, reason)
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
    const { services } = this.dependencies
    const { logger } = services
    let log: LogWriter | null = null
    try {
      const run = await this.#prepare(deployment, claim, abort)
      log = run.log
      await deploy(run, services)
      logger.info('deployment is running', { deployment: deployment.id, app: run.app.name })
    } catch (reason) {
      const stopped = { deployment, claim, log, reason, handingOver: this.#handingOver.signal }
      await settleFailure(services, stopped).catch((failure: unknown) => {
        if (failure instanceof LostClaimError) logger.warn(failure.message)
        else logger.error('could not settle a deployment', { deployment: deployment.id, error: failure })
      })
    } finally {
      log?.close()
    }
  }

  async #prepare(deployment: Deployment, claim: Claim, abort: AbortController): Promise<DeploymentRun> {
    const { services, hub } = this.dependencies
    const { database, secrets, logger } = services
    const app = await database.getRepository(App).findOneByOrFail({ id: deployment.appId })
    const stage = await database.getRepository(Stage).findOneByOrFail({ id: deployment.stageId })
    const configuration = deployment.configuration ?? (await this.#pinConfiguration(app, stage, deployment))
    const opened = openConfiguration(secrets, stage.id, configuration)
    const options = {
      deploymentId: deployment.id,
      epoch: claim.epoch,
      secrets: [...opened.variables.values(), ...opened.buildSecrets.values()],
      onStop: (reason: Error) => abort.abort(reason),
      onWait: (error: unknown) =>
        logger.warn('could not store a deployment log; retrying', { deployment: deployment.id, error }),
    }
    const log = new LogWriter(database, hub, options)
    // What is tried again, or built again, is fetched from where it was, also where the app has been changed since.
    const pinned = { ...app, branch: stage.branch ?? app.branch, ...configuration.source }
    return {
      ...{ claim, deployment, app: pinned, stage, configuration, ...opened, log },
      signal: abort.signal,
      onUndoError: (error) => logger.warn('could not undo a step', { deployment: deployment.id, error }),
      inBackground: (work) => this.#continue(deployment.id, work),
    }
  }

  #pinConfiguration(app: App, stage: Stage, { id, epoch, imageId }: Deployment): Promise<Configuration> {
    return this.dependencies.services.database.transaction(async (manager) => {
      await lockKeyShared(manager)
      const present = await readConfiguration(manager, app, stage)
      const configuration = imageId ? await asBuilt(manager, present, { appId: app.id, imageId }) : present
      const result = await manager.update(Deployment, { id, epoch }, { configuration })
      if (result.affected === 0) throw new LostClaimError(id)
      return configuration
    })
  }

  /** Off the critical path: the new version serves already. What it cannot retire, traffic/reconcile.ts does. */
  #continue(deploymentId: string, work: (stopping: AbortSignal) => Promise<void>): void {
    const { logger } = this.dependencies.services
    const { signal } = this.#stopping
    const continued = work(signal).catch((error: unknown) => {
      if (!signal.aborted)
        logger.warn('could not retire what served before', { deployment: deploymentId, error })
    })
    this.#inBackground.add(continued)
    void continued.finally(() => this.#inBackground.delete(continued))
  }
}
