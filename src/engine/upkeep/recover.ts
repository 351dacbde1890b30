import { IN_FLIGHT } from '../sql/predicates.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import { rescueExpired } from '../queue/rescue.js'
import { APP_LABEL } from '../routing/labels.js'
import { keptCommits } from './kept-commits.js'
import { namedRepositories } from './named-repositories.js'
import type { Services } from '../services.js'
import { ownImageNames } from '../names.js'
import { STOP_GRACE_SECONDS } from '../traffic/retire.js'

const EVERY_MS = 5_000
/** Two workers never remove an app's rows at once: any number, the same in all versions. */
const PURGE_LOCK = 7_305_516_992

/**
 * Every five seconds, and when the queue changes: takes back claims whose lease has ended, and finishes the deletion
 * of apps. Every worker does it. A removal may take minutes, and no claim waits for it.
 */
export class Recoverer implements AsyncDisposable {
  readonly #task: readonly PeriodicTask[]

  constructor(
    private readonly services: Services,
    everyMs = EVERY_MS,
  ) {
    this.#task = [
      new PeriodicTask({ title: 'rescuing deployments', everyMs, run: () => this.#rescue() }, services),
      new PeriodicTask(
        { title: 'removing deleted apps', everyMs, run: () => this.#purgeDeletedApps() },
        services,
      ),
    ]
  }

  start(): void {
    // A deletion is announced on the queue; it is not to wait for the next run.
    for (const one of this.#task) one.start('queue')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#task.map((one) => one[Symbol.asyncDispose]()))
  }

  async #rescue(): Promise<void> {
    const rescued = await rescueExpired(this.services.database, this.services.wakeups)
    if (rescued > 0) this.services.logger.warn('requeued deployments of a dead worker', { count: rescued })
  }

  async #purgeDeletedApps(): Promise<void> {
    const apps = await this.services.database.query<{ id: string; repo_url: string }[]>(
      `SELECT id, repo_url FROM app a WHERE deleted_at IS NOT NULL AND NOT EXISTS
         (SELECT 1 FROM deployment d WHERE d.app_id = a.id AND d.status IN ${IN_FLIGHT})`,
    )
    for (const app of apps) {
      try {
        await this.#purge(app)
        this.services.wakeups.appRemoved(app.id)
      } catch (error) {
        // The others go all the same; the next run tries this one again.
        this.services.logger.warn('could not remove a deleted app', {
          app: app.id,
          error: (error as Error).message,
        })
      }
    }
  }

  async #purge(app: { id: string; repo_url: string }): Promise<void> {
    const { docker, git, settings } = this.services
    const label = `${APP_LABEL}=${app.id}`
    const containers = await docker.listContainers(label)
    await Promise.all(containers.map(({ name }) => docker.removeContainer(name, STOP_GRACE_SECONDS)))
    const images = await docker.listImages(label)
    for (const { id, names } of images)
      for (const name of names.length > 0 ? ownImageNames(settings.imagePrefix, names) : [id])
        await docker.removeImage(name)
    await git.forget(app.repo_url, () => namedRepositories(this.services.database))
    // Last: as long as there is a row, somebody goes on with what is left.
    await this.services.database.transaction(async (manager) => {
      await manager.query('SELECT pg_advisory_xact_lock($1)', [PURGE_LOCK])
      await manager.query('DELETE FROM app WHERE id = $1 AND deleted_at IS NOT NULL', [app.id])
    })
    // Another app may have the same repository, whose mirror stays.
    await git.sweep(() => keptCommits(this.services.database))
    this.services.logger.info('removed a deleted app', { app: app.id })
  }
}
