import type { Configuration } from '../../entities/configuration.js'
import { outOfResources } from '../resource-exhaustion.js'
import { runProbe, chooseProbe } from './health.js'
import type { Failure } from './last-lines.js'
import { failServing } from './fail-serving.js'
import { rollBackAutomatically } from './automatic-rollback.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import { stageUrl } from '../addresses.js'
import { containerNames } from './containers.js'
import { describeExit } from '../docker/container-exit.js'
import type { Services } from '../services.js'

const EVERY_MS = 1_000
/** An app that fails its probe this often in a row is unhealthy. */
const UNHEALTHY_AFTER = 3
/** When the time is over it is checked once more. Where that cannot be done (Docker away) it is tried for so long. */
const LAST_CHECK_MS = 600_000
/** What fails and cannot be helped is checked less and less, down to once in this time. */
const MAX_BACKOFF_MS = 60_000

/** No container of it failed: its last lines would tell nothing. */
const UNCONFIRMED: Failure = {
  code: 'ROUTER_UNREACHABLE',
  why: 'the router does not send traffic to it',
  container: null,
  exitCode: null,
}

/** A version that fails while there is none to go back to, or none that comes up. */
interface Failing {
  readonly why: string
  readonly backoffMs: number
  readonly until: number
}

interface Watched {
  readonly id: string
  readonly stageId: string
  readonly appName: string
  readonly stageName: string
  readonly port: number
  readonly configuration: Configuration
  readonly replacedId: string | null
  readonly over: boolean
  /** Seconds since traffic moved to it. */
  readonly age: number
}

const WATCHED = `
  SELECT d.id, d.stage_id AS "stageId", a.name AS "appName", s.name AS "stageName", d.port, d.configuration, d.replaced_id AS "replacedId",
         d.watch_until <= now() AS over, extract(epoch FROM now() - d.live_at)::float8 AS age
    FROM deployment d JOIN app a ON a.id = d.app_id JOIN stage s ON s.id = d.stage_id
   WHERE d.watch_until IS NOT NULL AND d.status = 'RUNNING' AND a.deleted_at IS NULL AND d.configuration IS NOT NULL`

/**
 * Looks after new versions for a while after traffic has moved to them (WATCH_SECONDS). One that ends, restarts or
 * becomes unhealthy loses the traffic to the version before it; where none has served before it ends FAILED. The time ends
 * with a check that finds it healthy: also after nobody was there to watch. Then what was kept for a rollback goes. Every worker
 * watches; the database lets one act.
 */
export class Watcher implements AsyncDisposable {
  readonly #task: PeriodicTask
  /** Probes that failed in a row, by container. */
  readonly #failures = new Map<string, number>()
  readonly #unconfirmedSince = new Map<string, number>()
  /** Since when this process has wanted to end a watch. */
  readonly #endingSince = new Map<string, number>()
  readonly #failing = new Map<string, Failing>()
  readonly #stopping = new AbortController()
  readonly #checks = new Map<string, Promise<void>>()

  constructor(
    private readonly services: Services,
    everyMs = EVERY_MS,
  ) {
    this.#task = new PeriodicTask({ title: 'watch', everyMs, run: () => this.runOnce() }, services)
  }

  start(): void {
    this.#task.start('watch')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#task[Symbol.asyncDispose]()
    await this.settle()
  }

  /** Resolves when the checks that were begun have ended. */
  async settle(): Promise<void> {
    await Promise.all(this.#checks.values())
  }

  /** Begins a check of all that is watched, except where one is still under way. */
  async runOnce(): Promise<void> {
    const watched = await this.services.database.query<Watched[]>(WATCHED)
    const ids = new Set(watched.map(({ id }) => id))
    for (const known of [this.#unconfirmedSince, this.#endingSince, this.#failing])
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
    if (watched.length === 0) this.#failures.clear()
    for (const one of watched) this.#begin(one)
  }

  /** In the background: a rollback that takes long must not keep the others from being looked after. */
  #begin(one: Watched): void {
    if (this.#checks.has(one.id) || this.#isBackingOff(one)) return
    const looking = this.#check(one)
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return
        this.services.logger.warn('could not watch a new version', {
          deployment: one.id,
          error: (error as Error).message,
        })
      })
      .finally(() => this.#checks.delete(one.id))
    this.#checks.set(one.id, looking)
  }

  async #check(one: Watched): Promise<void> {
    const since = await this.#unconfirmedFor(one)
    // What is not confirmed is not over: what served before still may.
    const isOver = one.over && since === null
    if (isOver && this.#mayEndUnseen(one)) return this.#end(one)
    const late = since !== null && since >= this.services.settings.confirmMs
    const failure = late ? UNCONFIRMED : await this.#failure(one)
    if (failure === null) this.#failing.delete(one.id)
    const goesOn = failure === null ? this.#isInDoubt(one) : await this.#rollBack(one, failure)
    if (isOver && !goesOn) await this.#end(one)
  }

  /** False: there is nothing to go back to, and no container that fails. */
  async #rollBack({ id, replacedId }: Watched, failure: Failure): Promise<boolean> {
    const stuck = this.#failing.get(id)
    if (stuck?.why !== failure.why)
      this.services.logger.warn('a new version fails', { deployment: id, why: failure.why })
    const { services } = this
    // Without a watch it goes on as it can: a container that waits for its restart may keep the router from confirming.
    const isFirst = replacedId === null && failure.container !== null && services.settings.watchMs > 0
    const isRolledBack = isFirst
      ? await failServing({ id, failure }, services)
      : await rollBackAutomatically({ id, failure }, services, this.#stopping.signal)
    const backoffMs = Math.min((stuck?.backoffMs ?? EVERY_MS) * 2, MAX_BACKOFF_MS)
    if (isRolledBack) this.#failing.delete(id)
    else this.#failing.set(id, { why: failure.why, backoffMs, until: performance.now() + backoffMs })
    return isRolledBack
  }

  /** The end of its time is not put off, unless the router keeps it from ending. */
  #isBackingOff({ id, over }: Watched): boolean {
    if (over && !this.#unconfirmedSince.has(id)) return false
    return performance.now() < (this.#failing.get(id)?.until ?? 0)
  }

  /** Where nothing is to be watched, or the last check could not be made for too long. */
  #mayEndUnseen({ id }: Watched): boolean {
    const since = this.#endingSince.get(id) ?? performance.now()
    this.#endingSince.set(id, since)
    return this.services.settings.watchMs === 0 || performance.now() - since > LAST_CHECK_MS
  }

  /** Whether the last probes of one of its containers have failed, though not often enough yet. */
  #isInDoubt(one: Watched): boolean {
    return namesOf(one).some((name) => (this.#failures.get(name) ?? 0) > 0)
  }

  /** For how many ms the router has been told to send traffic to it and does not; null: it does, or does not say. */
  async #unconfirmedFor({ id, stageId }: Watched): Promise<number | null> {
    const answer = await this.services.router.isRoutedTo(stageId, id)
    if (answer !== false) {
      this.#unconfirmedSince.delete(id)
      return null
    }
    await this.services.router.apply().catch(() => undefined)
    const since = this.#unconfirmedSince.get(id) ?? performance.now()
    this.#unconfirmedSince.set(id, since)
    return performance.now() - since
  }

  async #failure(one: Watched): Promise<Failure | null> {
    const found = await Promise.all(namesOf(one).map((name) => this.#fails(name, one)))
    return found.find((failure) => failure !== null) ?? null
  }

  async #fails(
    name: string,
    { appName, stageName, port, replacedId, configuration: { health } }: Watched,
  ): Promise<Failure | null> {
    const { docker, settings } = this.services
    const { signal } = this.#stopping
    const state = await docker.findContainer(name, signal)
    if (!state) {
      this.#failures.delete(name)
      return null // removed by hand: the reconciler makes it again
    }
    // What an engine that was started anew has not started yet has not failed; with a version to go back to nobody waits.
    if (!state.running && state.restarts === 0 && !state.outOfMemory && replacedId === null) return null
    if (state.outOfMemory || state.restarts > 0 || !state.running)
      return { ...(await describeExit(name, state, docker)), container: name }
    const url = stageUrl(appName, stageName, settings)
    const probe = chooseProbe(health, state, { url, runEarly: null })
    // It served before: the engine, or the container, was started anew and its check has not found anything yet.
    if (probe.kind === 'image' && state.health === 'starting') return null
    const result = await runProbe(probe, state, { port, timeoutMs: health.timeoutSeconds * 1000, signal })
    if (!result.hasRun) throw outOfResources(result.why)
    const failures = result.isHealthy ? 0 : (this.#failures.get(name) ?? 0) + 1
    this.#failures.set(name, failures)
    if (!result.hasGivenUp && failures < UNHEALTHY_AFTER) return null
    return { code: 'UNHEALTHY', why: `it became unhealthy: ${result.why}`, container: name, exitCode: null }
  }

  async #end({ id, stageId }: Watched): Promise<void> {
    await this.services.database.query(
      'UPDATE deployment SET watch_until = NULL WHERE id = $1 AND watch_until <= now()',
      [id],
    )
    this.services.wakeups.stageChanged(stageId)
  }
}

function namesOf({ appName, id, configuration }: Watched): string[] {
  return containerNames(appName, id, configuration.replicas)
}
