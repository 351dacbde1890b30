import type { DataSource } from 'typeorm'
import type { Logger } from '../logger.js'
import type { ContainerSummary } from './docker/docker.js'
import { rescueExpired } from './queue.js'
import { APP_LABEL, DEPLOYMENT_LABEL, INSTANCE_LABEL } from './routing/labels.js'
import type { Tools } from './steps/context.js'

const EVERY_MS = 5_000
/** A full comparison with the engine; also at start. */
const SWEEP_EVERY_MS = 30_000
/** Build cache beyond its bound is freed this often: looking at it costs the engine seconds when it is large. */
const PRUNE_EVERY_MS = 10 * 60_000
const STOP_GRACE_SECONDS = 10
/** Two workers never clean up at once: any number, the same in all versions. */
const SWEEP_LOCK = 7_305_516_992

/**
 * Repairs what a crash left: takes back expired claims, removes containers and images that no deployment owns, and
 * finishes the deletion of apps. Touches only what carries this installation's label.
 */
export class Recoverer implements AsyncDisposable {
  #timer: NodeJS.Timeout | undefined
  #unsubscribe: () => void = () => undefined
  #sweptAt = -Infinity
  #prunedAt = performance.now()
  #running: Promise<void> | null = null
  #again = false

  constructor(
    private readonly database: DataSource,
    private readonly tools: Tools,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.#timer = setInterval(() => this.#tick(), EVERY_MS)
    // A deletion is announced on the queue; it is not to wait for the next round.
    this.#unsubscribe = this.tools.wakeups.on('queue', () => this.#tick())
    this.#tick()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#unsubscribe()
    await this.#running
  }

  #tick(): void {
    if (this.#running) {
      this.#again = true
      return
    }
    this.#running = this.#round()
      .catch((error: unknown) => this.logger.warn('recovery', { error: (error as Error).message }))
      .finally(() => {
        this.#running = null
        if (this.#again) {
          this.#again = false
          this.#tick()
        }
      })
  }

  async #round(): Promise<void> {
    const rescued = await rescueExpired(this.database, this.tools.wakeups)
    if (rescued > 0) this.logger.warn('gave back deployments of a dead worker', { count: rescued })
    await this.#purgeDeletedApps()
    if (performance.now() - this.#sweptAt < SWEEP_EVERY_MS) return
    await this.sweep()
    this.#sweptAt = performance.now()
    if (performance.now() - this.#prunedAt < PRUNE_EVERY_MS) return
    this.#prunedAt = performance.now()
    await this.tools.docker.pruneBuildCache(this.tools.settings.buildCacheBytes)
  }

  /** Compares the engine's containers with the database: wrong addresses are corrected, orphans removed. */
  async sweep(): Promise<void> {
    const { instanceId } = this.tools.settings
    const containers = await this.tools.docker.listContainers(`${INSTANCE_LABEL}=${instanceId}`)
    if (containers.length === 0) return
    const ids = containers.map((container) => container.labels[DEPLOYMENT_LABEL] ?? '')
    const rows = await this.database.query<{ id: string; status: string; address: string | null }[]>(
      'SELECT id, status, address FROM deployment WHERE id = ANY($1)',
      [ids],
    )
    const known = new Map(rows.map((row) => [row.id, row]))
    for (const container of containers) {
      const row = known.get(container.labels[DEPLOYMENT_LABEL] ?? '')
      if (row?.status === 'RUNNING') await this.#correctAddress(row, container)
      else if (!row || !['STARTING', 'ROUTING', 'RETIRED'].includes(row.status) || row.address === null) {
        await this.#removeOrphan(container)
      }
    }
  }

  async #correctAddress(
    row: { id: string; address: string | null },
    container: ContainerSummary,
  ): Promise<void> {
    if (!container.address || container.address === row.address) return
    await this.database.query(`UPDATE deployment SET address = $2 WHERE id = $1 AND status = 'RUNNING'`, [
      row.id,
      container.address,
    ])
    this.tools.wakeups.notify('route', row.id)
  }

  /** Reads the row once more right before: between the list and here a deployment may have begun to start. */
  async #removeOrphan(container: ContainerSummary): Promise<void> {
    const id = container.labels[DEPLOYMENT_LABEL] ?? ''
    const rows = await this.database.query<unknown[]>(
      `SELECT 1 FROM deployment WHERE id = $1
        AND (status IN ('STARTING', 'ROUTING', 'RUNNING') OR (status = 'RETIRED' AND address IS NOT NULL
             AND finished_at > now() - interval '10 minutes'))`,
      [id],
    )
    if (rows.length > 0) return
    this.logger.info('removing a container that nothing needs', { container: container.name })
    await this.tools.docker.removeContainer(container.name, STOP_GRACE_SECONDS)
  }

  async #purgeDeletedApps(): Promise<void> {
    const apps = await this.database.query<{ id: string; repo_url: string }[]>(
      `SELECT id, repo_url FROM app a WHERE deleted_at IS NOT NULL AND NOT EXISTS
         (SELECT 1 FROM deployment d WHERE d.app_id = a.id AND d.status IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING'))`,
    )
    for (const app of apps) {
      await this.#purge(app)
      this.tools.wakeups.notify('app', app.id)
    }
  }

  async #purge(app: { id: string; repo_url: string }): Promise<void> {
    const label = `${APP_LABEL}=${app.id}`
    for (const container of await this.tools.docker.listContainers(label)) {
      await this.tools.docker.removeContainer(container.name, STOP_GRACE_SECONDS)
    }
    for (const image of await this.tools.docker.listImages(label)) await this.tools.docker.removeImage(image)
    await this.database.transaction(async (manager) => {
      await manager.query('SELECT pg_advisory_xact_lock($1)', [SWEEP_LOCK])
      await manager.query('DELETE FROM app WHERE id = $1 AND deleted_at IS NOT NULL', [app.id])
    })
    const [left] = await this.database.query<{ count: string }[]>(
      'SELECT count(*) FROM app WHERE repo_url = $1',
      [app.repo_url],
    )
    if (left?.count === '0') await this.tools.git.forget(app.repo_url)
    this.logger.info('removed an app with all that ran for it', { app: app.id })
  }
}
