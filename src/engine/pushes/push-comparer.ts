import type { EntityManager } from 'typeorm'
import { App } from '../../entities/app.js'
import type { Deployment } from '../../entities/deployment.js'
import { PushComparison } from '../../entities/push-comparison.js'
import { Stage } from '../../entities/stage.js'
import { DeployError } from '../errors.js'
import { announceQueued } from '../queue/enqueue.js'
import type { Services } from '../services.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import { commitsOf, compare, type Compared } from './compare.js'
import { settleComparison } from './comparisons.js'
import { deployPush, type QueuedPush } from './push-deployment.js'
import { remoteOf } from '../repositories/remote.js'

/** Without a wake-up. */
const EVERY_MS = 5_000
/** A worker that compares has a push to itself for so long, and asks for more meanwhile. */
const CLAIM_SECONDS = 30
const RENEW_MS = 10_000
/** So many at once in each worker: each fetches. */
const AT_ONCE = 2
/** A forge that does not answer is asked so often; then the push is deployed, and its deployment says why it fails. */
const MAX_ATTEMPTS = 5
const RETRY_SECONDS = 5

export type PushServices = Pick<Services, 'database' | 'wakeups' | 'git' | 'logger' | 'secrets'> & {
  readonly settings: Pick<Services['settings'], 'allowFileRepos' | 'drainMs'>
}

interface Claimed extends PushComparison {
  readonly appId: string
}

const CLAIM = `
  WITH due AS (
    SELECT stage_id FROM push_comparison WHERE next_at <= now()
     ORDER BY next_at LIMIT ${AT_ONCE} FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE push_comparison c SET attempts = attempts + 1, next_at = now() + interval '${CLAIM_SECONDS} seconds'
    FROM due JOIN stage s ON s.id = due.stage_id WHERE c.stage_id = due.stage_id
  RETURNING c.id, c.stage_id AS "stageId", s.app_id AS "appId", c.ref, c.sha, c.message, c.trigger, c.actor,
            c.delivery_id AS "deliveryId", c.attempts, c.created_at AS "createdAt"`

/**
 * Compares pushes with what serves, by their files, and deploys those that change something under the watched paths. Every
 * worker does it; a push is compared by one at a time and survives its death.
 */
export class PushComparer implements AsyncDisposable {
  readonly #task: PeriodicTask
  readonly #stopping = new AbortController()

  constructor(
    private readonly services: PushServices,
    everyMs = EVERY_MS,
  ) {
    const run = () => this.compareDue()
    this.#task = new PeriodicTask({ title: 'comparing pushes', everyMs, run }, services)
  }

  start(): void {
    this.#task.start('push')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#task[Symbol.asyncDispose]()
  }

  /** Compares what waits for it, until nothing does. */
  async compareDue(): Promise<void> {
    for (;;) {
      const [claimed] = await this.services.database.query<[Claimed[], number]>(CLAIM)
      if (claimed.length === 0 || this.#stopping.signal.aborted) return
      await Promise.all(claimed.map((one) => this.#compare(one)))
    }
  }

  async #compare(claimed: Claimed): Promise<void> {
    const renew = setInterval(() => void this.#retryIn(claimed, CLAIM_SECONDS), RENEW_MS)
    try {
      const compared = await this.#outcome(claimed)
      await this.#settle(claimed, compared)
    } catch (error) {
      if (this.#stopping.signal.aborted) return void (await this.#retryIn(claimed, 0))
      if (!(error instanceof DeployError) && claimed.attempts < MAX_ATTEMPTS) {
        await this.#retryIn(claimed, RETRY_SECONDS * 2 ** (claimed.attempts - 1))
        return
      }
      const reason = `it could not be compared with what serves: ${(error as Error).message}`
      await this.#settle(claimed, { deploys: true, reason, with: null })
    } finally {
      clearInterval(renew)
    }
  }

  async #outcome(claimed: Claimed): Promise<Compared> {
    const { database } = this.services
    const app = await database.getRepository(App).findOneByOrFail({ id: claimed.appId })
    const remote = await remoteOf(this.services, app)
    const dependencies = { git: this.services.git, manager: database.manager }
    return compare({ ...claimed, remote, watchPaths: app.watchPaths }, dependencies, this.#stopping.signal)
  }

  /** Another worker may take it then; at once, if this one stops. */
  #retryIn({ id }: Claimed, seconds: number): Promise<unknown> {
    const sql = 'UPDATE push_comparison SET next_at = now() + make_interval(secs => $2) WHERE id = $1'
    return this.services.database.query(sql, [id, seconds]).catch(() => undefined)
  }

  async #settle(claimed: Claimed, compared: Compared): Promise<void> {
    const queued = await this.services.database.transaction((manager) =>
      settleCompared(manager, claimed, compared),
    )
    if (!queued) return
    announceQueued(this.services.wakeups, queued.deployment)
    for (const id of queued.superseded) this.services.wakeups.deploymentSettled(id)
  }
}

/** In one transaction, unless a newer push has taken its place: the deployment, and what the delivery says. */
async function settleCompared(
  manager: EntityManager,
  claimed: Claimed,
  { deploys, reason, with: compared }: Compared,
): Promise<QueuedPush | null> {
  const lock = { mode: 'for_no_key_update' } as const
  const stage = await manager.findOne(Stage, { where: { id: claimed.stageId }, lock })
  if (!stage || !(await manager.existsBy(PushComparison, { id: claimed.id }))) return null
  // Something else serves, or is about to, than what it was compared with: once more.
  if (!deploys && compared && !(await isSame(manager, stage.id, compared))) {
    await manager.query('UPDATE push_comparison SET next_at = now() WHERE id = $1', [claimed.id])
    return null
  }
  await manager.delete(PushComparison, { id: claimed.id })
  const refused = deploys ? await refusal(manager, stage, claimed) : reason
  const queued = refused === null ? await deployPush(manager, stage, claimed) : null
  const said = refused ?? `deploys ${claimed.sha}${reason && `: ${reason}`}`
  const deploymentId = queued?.deployment.id ?? null
  await settleComparison(manager, stage, { ...claimed, reason: said, deploymentId })
  return queued
}

async function isSame(
  manager: EntityManager,
  stageId: string,
  compared: readonly string[],
): Promise<boolean> {
  const now = await commitsOf(manager, stageId)
  return now !== null && now.length === compared.length && now.every((sha) => compared.includes(sha))
}

/** What has changed since it was pushed so that it is not deployed any more. */
async function refusal(manager: EntityManager, stage: Stage, claimed: Claimed): Promise<string | null> {
  if (stage.stopped) return 'the stage is stopped'
  if (!stage.autoDeploy) return 'it does not deploy pushes (autoDeploy is false)'
  const [later] = await manager.query<Pick<Deployment, 'id'>[]>(
    `SELECT id FROM deployment WHERE stage_id = $1 AND created_at > $2
        AND trigger IN ('ROLLBACK', 'PROMOTE') LIMIT 1`,
    [stage.id, claimed.createdAt],
  )
  return later ? `the deployment ${later.id} was requested after it` : null
}
