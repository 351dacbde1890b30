import { UNSETTLED, KEPT_FOR_ROLLBACK } from '../sql/predicates.js'
import { tryWithAdvisoryLock } from '../sql/advisory-lock.js'
import { dropOldChanges } from '../change-feed.js'
import { createLogPartitions, dropLogPartitions } from '../logs/partitions.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import { INSTANCE_LABEL, ownImageNames } from '../names.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'
import { commitsInUse, keptCommits } from './kept-commits.js'
import { namedRepositories } from './named-repositories.js'
import type { Services } from '../services.js'
import { cleanDeliveries } from '../webhooks/delivery-log.js'

/** Looking at a large build cache costs the engine seconds. */
const EVERY_MS = 10 * 60_000
/** One worker at a time: any number, the same in all versions. */
const HOUSEKEEPING_LOCK = 7_305_516_995
/** A log partition is waited for this long; whoever reads a log holds it. The next run tries again. */
const LOCK_TIMEOUT = '2s'

/**
 * Deployments whose image is needed: under way, serving, or the newest of one of the last images that were released in
 * their stage. A restart releases no other image, and nobody goes back to what was rolled back.
 */
const KEPT = `
  WITH released AS (
    SELECT DISTINCT ON (stage_id, image_id) id, stage_id, live_at FROM deployment
     WHERE live_at IS NOT NULL AND status <> 'ROLLED_BACK' ORDER BY stage_id, image_id, live_at DESC),
  placed AS (SELECT id, row_number() OVER (PARTITION BY stage_id ORDER BY live_at DESC) AS place FROM released)
  SELECT d.id, d.image, d.image_id AS "imageId"
    FROM deployment d JOIN stage s ON s.id = d.stage_id LEFT JOIN placed p ON p.id = d.id
   WHERE s.current_deployment_id = d.id OR ${KEPT_FOR_ROLLBACK} OR p.place <= $1 + 1
      OR d.status IN ${UNSETTLED} OR d.status = 'RUNNING'`

interface Kept {
  readonly id: string
  readonly image: string | null
  readonly imageId: string | null
}

/**
 * Frees what nobody needs any more, at the start and every ten minutes: images beyond the last releases of each stage,
 * logs and webhook deliveries past their time, commits and whole mirrors, of this installation's own only; and build cache
 * beyond its bound, of the whole engine, because nothing says whose it is.
 */
export class Housekeeper implements AsyncDisposable {
  readonly #task: PeriodicTask
  readonly #stopping = new AbortController()

  constructor(
    private readonly services: Services,
    everyMs = EVERY_MS,
  ) {
    this.#task = new PeriodicTask({ title: 'housekeeping', everyMs, run: () => this.clean() }, services)
  }

  start(): void {
    this.#task.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#task[Symbol.asyncDispose]()
  }

  /** All of it once; what the workers share unless another one is at it. */
  async clean(): Promise<void> {
    // In this worker's own DATA_DIR, which another one may not have.
    await this.#each([
      ['commits', () => this.#cleanCommits()],
      ['mirrors', () => this.services.git.prune(() => namedRepositories(this.services.database))],
    ])
    await tryWithAdvisoryLock(this.services.database, HOUSEKEEPING_LOCK, () =>
      this.#each([
        ['logs', () => this.#cleanLogs()],
        ['changes', () => this.#cleanChanges()],
        ['images', () => this.#cleanImages()],
        ['webhook deliveries', () => cleanDeliveries(this.services.database)],
        ['build cache', () => this.#cleanBuildCache()],
      ]),
    )
  }

  async #each(parts: readonly (readonly [what: string, clean: () => Promise<void>])[]): Promise<void> {
    for (const [what, clean] of parts) {
      if (this.#stopping.signal.aborted) return
      await clean().catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return
        this.services.logger.warn('could not clean up', { what, error: (error as Error).message })
      })
    }
  }

  async #cleanImages(): Promise<void> {
    const { docker, settings } = this.services
    const images = await docker.listImages(`${INSTANCE_LABEL}=${settings.instanceId}`)
    // Read after the list: an image that was built in between is not in it.
    const kept = await this.services.database.query<Kept[]>(KEPT, [settings.keepReleases])
    const ids = new Set(kept.map(({ id }) => id))
    // One that a container is still made of would stay behind without a name.
    const containers = await docker.listContainers(`${INSTANCE_LABEL}=${settings.instanceId}`)
    for (const { labels } of containers) ids.add(labels[DEPLOYMENT_LABEL] ?? '')
    for (const { id, names } of images) {
      const wanted = kept.flatMap(({ image, imageId }) => (imageId === id && image !== null ? [image] : []))
      // The build of a worker that had lost its claim has taken the name.
      for (const name of wanted) if (!names.includes(name)) await docker.tagImage(id, name)
      const isNameless = names.length === 0 && wanted.length === 0
      const own = ownImageNames(settings.imagePrefix, names)
      const unneeded = own.filter((name) => !ids.has(name.slice(name.lastIndexOf(':') + 1)))
      for (const name of isNameless ? [id] : unneeded) {
        await docker.removeImage(name)
        this.services.logger.info('removed an image that no release needs', { image: name })
      }
    }
  }

  async #cleanLogs(): Promise<void> {
    await this.services.database.transaction(async (manager) => {
      await manager.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`)
      await createLogPartitions(manager)
      const dropped = await dropLogPartitions(manager, this.services.settings.logRetentionDays)
      if (dropped > 0) this.services.logger.info('dropped old logs', { weeks: dropped })
    })
  }

  async #cleanChanges(): Promise<void> {
    await this.services.database.transaction(async (manager) => {
      await manager.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`)
      await dropOldChanges(manager)
    })
  }

  async #cleanCommits(): Promise<void> {
    const { database, git, settings } = this.services
    await git.sweep(() => keptCommits(database))
    await git.shrink(settings.maxMirrorBytes, () => commitsInUse(database))
  }

  /** The engine may take minutes; the stop of the process does not wait for it. */
  #cleanBuildCache(): Promise<void> {
    const { docker, settings } = this.services
    return docker.pruneBuildCache(settings.buildCacheBytes, this.#stopping.signal)
  }
}
