import { CommandError } from '../command-error.js'
import { DeployError } from '../errors.js'
import type { Remote, RemoteRefs } from '../git/git.js'
import { tryWithAdvisoryLock } from '../sql/advisory-lock.js'
import { announceStop } from '../traffic/stop-stage.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import { applyLookup, dueLookups, type DueLookup, recordLookup } from './lookups.js'
import type { PushServices } from './push-comparer.js'
import { remoteOf } from '../repositories/remote.js'

/** How often it is looked whether a lookup is due. */
const EVERY_MS = 5_000
/** One worker at a time: any number, the same in all versions. */
const POLL_LOCK = 7_305_516_997
/** Lookups in one go: the lock is another's turn then. */
const AT_MOST = 40
const AT_ONCE = 4
/** A forge that has not answered by then is asked at the next lookup. */
const TIMEOUT_MS = 30_000
/** A forge that is away is asked again so soon, whatever RECONCILE_MINUTES says. */
const RETRY_SECONDS = 300

/** Apps that read the same repository in the same way. */
interface Repository {
  readonly remote: Remote
  readonly apps: readonly DueLookup[]
}

/**
 * Looks up the branches of the apps' repositories, at the start and every RECONCILE_MINUTES, so that no push is lost that no
 * forge has delivered. One worker at a time, each repository once for all its apps and stages.
 */
export class RepositoryPoller implements AsyncDisposable {
  readonly #task: PeriodicTask
  readonly #stopping = new AbortController()
  #startedAt: Date | null = null

  constructor(
    private readonly services: PushServices,
    private readonly reconcileMs: number,
    everyMs = EVERY_MS,
  ) {
    this.#task = new PeriodicTask(
      { title: 'looking up repositories', everyMs, run: () => this.pollDue() },
      services,
    )
  }

  start(): void {
    this.#task.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#task[Symbol.asyncDispose]()
  }

  /** Looks up what is due, unless another worker is at it. */
  async pollDue(): Promise<void> {
    this.#startedAt ??= await this.#now()
    const schedule = { everyMs: this.reconcileMs, startedAt: this.#startedAt, atMost: AT_MOST }
    if ((await dueLookups(this.services.database, { ...schedule, atMost: 1 })).length === 0) return
    await tryWithAdvisoryLock(this.services.database, POLL_LOCK, async () => {
      const waiting = await this.#repositories(await dueLookups(this.services.database, schedule))
      const next = async () => {
        for (let one = waiting.shift(); one; one = waiting.shift()) await this.#lookUp(one)
      }
      await Promise.all(Array.from({ length: AT_ONCE }, next))
    })
  }

  /** By the database's clock, as everything that other processes go by. */
  async #now(): Promise<Date> {
    const [row] = await this.services.database.query<[{ now: Date }]>('SELECT clock_timestamp() AS now')
    return row.now
  }

  async #repositories(due: readonly DueLookup[]): Promise<Repository[]> {
    const found = new Map<string, { remote: Remote; apps: DueLookup[] }>()
    for (const app of due) {
      try {
        const remote = await remoteOf(this.services, app)
        const key = JSON.stringify(remote)
        const repository = found.get(key) ?? { remote, apps: [] }
        repository.apps.push(app)
        found.set(key, repository)
      } catch (error) {
        await this.#failed([app], await this.#now(), error as Error)
      }
    }
    return [...found.values()]
  }

  async #lookUp({ remote, apps }: Repository): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const since = await this.#now()
    let refs: RemoteRefs
    // Held until it has answered: a timeout that only AbortSignal.any knows is collected as garbage.
    const timeout = AbortSignal.timeout(TIMEOUT_MS)
    try {
      const either = AbortSignal.any([this.#stopping.signal, timeout])
      refs = await this.services.git.listRefs(remote, either)
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      const silent = new Error(`no answer within ${TIMEOUT_MS / 1000} s`)
      return this.#failed(apps, since, timeout.aborted ? silent : (error as Error))
    }
    for (const app of apps) await this.#apply(app, { refs, since, repoUrl: remote.repoUrl })
  }

  async #apply(app: DueLookup, found: { refs: RemoteRefs; since: Date; repoUrl: string }): Promise<void> {
    const { database, wakeups, logger, settings } = this.services
    const { hasNews, stopped } = await database.transaction(async (manager) => {
      const applied = await applyLookup(manager, { appId: app.id, ...found }, settings)
      await recordLookup(manager, app.id, { since: found.since, error: null, againIn: null })
      return applied
    })
    for (const one of stopped) announceStop(wakeups, one)
    if (hasNews) wakeups.pushReceived()
    if (app.error !== null) logger.info('a repository can be looked up again', { app: app.name })
  }

  /** Said once, until it works again. */
  async #failed(apps: readonly DueLookup[], since: Date, why: Error): Promise<void> {
    const isFinal = why instanceof DeployError || why instanceof CommandError
    const { message } = why
    for (const { id, name, error } of apps) {
      const result = { since, error: message, againIn: isFinal ? null : RETRY_SECONDS }
      await recordLookup(this.services.database, id, result)
      if (error === null)
        this.services.logger.warn('could not look up a repository', { app: name, error: message })
    }
  }
}
