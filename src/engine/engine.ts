import { setTimeout as sleep } from 'node:timers/promises'
import type { DataSource } from 'typeorm'
import { App } from '../entities/app.js'
import { DeploymentStatus } from '../entities/deployment-status.js'
import type { Deployment } from '../entities/deployment.js'
import { Stage } from '../entities/stage.js'
import type { Logger } from '../logger.js'
import { deploy } from './deploy.js'
import { HandOverError, LostClaimError } from './errors.js'
import type { LeaseKeeper } from './lease.js'
import type { LogHub } from './logs/hub.js'
import { LogWriter } from './logs/writer.js'
import { claimNext, sayWaiting } from './queue.js'
import type { SecretBox } from './secrets.js'
import { settleFailure } from './settle-failure.js'
import type { Claim } from './states.js'
import type { Tools, Work } from './steps/context.js'
import { retire } from './steps/retire.js'
import { readVariables } from './variables.js'

export interface EngineOptions {
  readonly workerId: string
  readonly concurrency: number
  readonly leaseMs: number
  readonly pollMs: number
  readonly stopGraceMs: number
}

export interface EngineParts {
  readonly database: DataSource
  readonly tools: Tools
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
  readonly #running = new Map<string, { abort: AbortController; done: Promise<void> }>()
  readonly #retiring = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #wake: () => void = () => undefined
  #woken = false
  #loop: Promise<void> = Promise.resolve()
  #unsubscribes: (() => void)[] = []
  #dockerError: string | null = null

  constructor(
    private readonly parts: EngineParts,
    private readonly options: EngineOptions,
  ) {}

  start(): void {
    const { wakeups } = this.parts.tools
    this.#unsubscribes = [
      wakeups.on('queue', () => this.wake()),
      wakeups.on('cancel', () => void this.parts.leases.renew()),
    ]
    this.#loop = this.#run()
  }

  /** Looks for work now. */
  wake(): void {
    this.#woken = true
    this.#wake()
  }

  /** What the Docker engine last answered: null when all is well. */
  dockerError(): string | null {
    return this.#dockerError
  }

  /** Stops claiming, waits for what is under way, and after the grace time gives it back to the queue. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.wake()
    await this.#loop
    for (const unsubscribe of this.#unsubscribes) unsubscribe()
    const all = Promise.all([...this.#running.values()].map((deployment) => deployment.done))
    const timer = new AbortController()
    await Promise.race([
      all,
      sleep(this.options.stopGraceMs, undefined, { signal: timer.signal }).catch(() => undefined),
    ])
    timer.abort()
    for (const { abort } of this.#running.values()) abort.abort(new HandOverError('this worker is stopping'))
    await all
    await Promise.allSettled(this.#retiring)
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#woken = false
      try {
        await this.#fillSlots()
      } catch (error) {
        this.parts.logger.warn('the queue could not be read; trying again', {
          error: (error as Error).message,
        })
      }
      if (!this.#woken) await this.#waitForWork()
    }
  }

  async #waitForWork(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.options.pollMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => undefined
  }

  async #fillSlots(): Promise<void> {
    const { database, tools } = this.parts
    while (this.#running.size < this.options.concurrency && !this.#stopping.signal.aborted) {
      if (!(await this.#hasWork()) || !(await this.#dockerAnswers())) return
      const { workerId, leaseMs } = this.options
      const deployment = await claimNext(database, tools.wakeups, workerId, leaseMs)
      if (!deployment) return
      this.#begin(deployment)
    }
  }

  /** One cheap look, so that an idle engine neither locks rows nor asks Docker. */
  async #hasWork(): Promise<boolean> {
    const rows = await this.parts.database.query<unknown[]>(
      `SELECT 1 FROM deployment WHERE status = 'PENDING' AND next_run_at <= now() LIMIT 1`,
    )
    return rows.length > 0
  }

  async #dockerAnswers(): Promise<boolean> {
    try {
      await this.parts.tools.docker.ping()
      this.#dockerError = null
      return true
    } catch (error) {
      this.#dockerError = (error as Error).message
      const reason = `${this.#dockerError}. Is it running, and is DOCKER_HOST right? The deployment starts by itself when it answers.`
      await sayWaiting(this.parts.database, this.parts.tools.wakeups, reason)
      return false
    }
  }

  #begin(deployment: Deployment): void {
    const abort = new AbortController()
    const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
    this.parts.leases.hold(claim, (reason) => abort.abort(reason))
    const done = this.#work(deployment, claim, abort).finally(() => {
      this.parts.leases.release(deployment.id)
      this.#running.delete(deployment.id)
      this.wake()
    })
    this.#running.set(deployment.id, { abort, done })
  }

  /** Never rejects: how a deployment ends is a result. */
  async #work(deployment: Deployment, claim: Claim, abort: AbortController): Promise<void> {
    const { logger, tools } = this.parts
    let log: LogWriter | null = null
    try {
      const work = await this.#prepare(deployment, claim, abort)
      log = work.log
      const replaced = await deploy(work, tools, abort.signal, (error) =>
        logger.warn('could not undo a step', { deployment: deployment.id, error }),
      )
      logger.info('deployment is running', { deployment: deployment.id, app: work.app.name })
      if (replaced) this.#retire(replaced)
    } catch (error) {
      const reason: unknown = abort.signal.aborted ? abort.signal.reason : error
      await settleFailure(this.parts, deployment, claim, log, reason).catch((failure: unknown) => {
        if (failure instanceof LostClaimError) logger.warn(failure.message)
        else logger.error('could not settle a deployment', { deployment: deployment.id, error: failure })
      })
    } finally {
      log?.close()
    }
  }

  async #prepare(deployment: Deployment, claim: Claim, abort: AbortController): Promise<Work> {
    const { database, hub, secrets } = this.parts
    const app = await database.getRepository(App).findOneByOrFail({ id: deployment.appId })
    const stage = await database.getRepository(Stage).findOneByOrFail({ id: deployment.stageId })
    const variables = await readVariables(database, secrets, stage.id)
    const log = new LogWriter(
      database,
      hub,
      {
        deploymentId: deployment.id,
        epoch: claim.epoch,
        secrets: [...variables.values()],
        onLost: () => abort.abort(new LostClaimError(deployment.id)),
      },
      DeploymentStatus.CLONING,
    )
    return { claim, deployment, app, stage, variables, log }
  }

  /** Off the critical path: the new version serves already. A failure is swept up by recover.ts. */
  #retire(replaced: Parameters<typeof retire>[0]): void {
    const { logger, tools } = this.parts
    const retiring = retire(replaced, tools, this.#stopping.signal).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) logger.warn('could not retire a container', { ...replaced, error })
    })
    this.#retiring.add(retiring)
    void retiring.finally(() => this.#retiring.delete(retiring))
  }
}
