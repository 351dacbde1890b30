import { setTimeout as sleep } from 'node:timers/promises'
import { clearStaleAddresses } from './stale-addresses.js'
import { tryWithAdvisoryLock } from '../sql/advisory-lock.js'
import { planReconcile, type ReconcileAction, type ReconcileRow } from './reconcile-plan.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import { INSTANCE_LABEL } from '../names.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'
import { resumeServing } from './resume-serving.js'
import { KEPT_FOR_ROLLBACK } from '../sql/predicates.js'
import type { Services } from '../services.js'
import { retire, STOP_GRACE_SECONDS } from './retire.js'

const EVERY_MS = 30_000
/** Events come in bursts: a restart of the engine says one for each container. */
const GATHER_MS = 200
const RECONNECT_MS = 1_000
/** Events after which other containers run, at other addresses or under other names. Others are often our own doing. */
const CHANGES = ['create', 'start', 'die', 'destroy', 'rename', 'pause', 'unpause']
/** One worker at a time: any number, the same in all versions. */
const RECONCILE_LOCK = 7_305_516_994

const FAILED = {
  serve: 'a deployment that is to serve does not',
  retire: 'could not stop what served before',
  remove: 'could not remove a container',
}

const ROWS = `
  SELECT d.id, a.name AS "appName", d.status, d.addresses,
         coalesce((d.configuration ->> 'replicas')::int, 1) AS replicas,
         a.deleted_at IS NULL AND NOT s.stopped AND s.current_deployment_id = d.id
           AND d.status IN ('RUNNING', 'RETIRED') AS wanted,
         d.status IN ('RETIRED', 'ROLLED_BACK') AND coalesce(d.drain_until > now(), false) AS draining,
         extract(epoch FROM d.drain_until - now())::float8 * 1000 AS "drainLeftMs",
         d.status = 'RETIRED' AND ${KEPT_FOR_ROLLBACK} AS kept
    FROM deployment d JOIN stage s ON s.id = d.stage_id JOIN app a ON a.id = d.app_id
   WHERE d.id = ANY($1) OR (s.current_deployment_id = d.id AND NOT s.stopped AND a.deleted_at IS NULL)`

interface Row extends ReconcileRow {
  readonly drainLeftMs: number | null
}

/**
 * Makes the Docker engine's containers what the database says, whatever happened to them: at the start, every 30 s,
 * when a stage is stopped or started, when a drain ends, and when the engine says that a container of ours has come, gone,
 * started, ended or changed its name. A new connection to the engine means a full comparison, because events are not
 * replayed. Touches only what carries this installation's label.
 */
export class Reconciler implements AsyncDisposable {
  readonly #task: PeriodicTask
  readonly #stopping = new AbortController()
  /** What is being done, by deployment or container. */
  readonly #busy = new Map<string, Promise<void>>()
  /** Those whose containers were seen not to run while they were being brought back: maybe it is through with them. */
  readonly #again = new Set<string>()
  #following: Promise<void> = Promise.resolve()
  #gathering: NodeJS.Timeout | undefined
  #drainTimer: NodeJS.Timeout | undefined

  constructor(
    private readonly services: Services,
    everyMs = EVERY_MS,
  ) {
    this.#task = new PeriodicTask({ title: 'reconciliation', everyMs, run: () => this.reconcile() }, services)
  }

  start(): void {
    this.#task.start('stage')
    this.#following = this.#followEvents()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    clearTimeout(this.#gathering)
    clearTimeout(this.#drainTimer)
    await this.#task[Symbol.asyncDispose]()
    await Promise.all([this.#following, this.settle()])
  }

  /** One comparison, unless another process is at it; what has to be done is begun. */
  async reconcile(): Promise<void> {
    await tryWithAdvisoryLock(this.services.database, RECONCILE_LOCK, async () => {
      const { rows, actions } = await this.#compare()
      this.#scheduleDrainEnd(rows)
      // Before anything is waited for: the address of what does not run is free, and may be another app's by now.
      if (actions.some(({ kind }) => kind === 'serve')) await this.#clearStaleAddresses()
      for (const action of actions) this.#begin(action)
    })
  }

  /** Resolves when what was begun has ended. */
  async settle(): Promise<void> {
    await Promise.all(this.#busy.values())
  }

  /** Nobody else removes the containers of a stage that was stopped, or whose drain another process began and left. */
  #scheduleDrainEnd(rows: readonly Row[]): void {
    clearTimeout(this.#drainTimer)
    const left = rows.flatMap(({ draining, drainLeftMs }) => (draining ? [drainLeftMs ?? 0] : []))
    if (left.length > 0 && !this.#stopping.signal.aborted)
      this.#drainTimer = setTimeout(() => this.#task.runNow(), Math.min(...left))
  }

  async #compare(): Promise<{ rows: Row[]; actions: ReconcileAction[] }> {
    const label = `${INSTANCE_LABEL}=${this.services.settings.instanceId}`
    const containers = await this.services.docker.listContainers(label)
    const ids = containers.map(({ labels }) => labels[DEPLOYMENT_LABEL] ?? '')
    const rows = await this.services.database.query<Row[]>(ROWS, [ids])
    return { rows, actions: planReconcile(rows, containers) }
  }

  /** In the background: an app that does not come up again, or does not end, must not keep the others waiting. */
  #begin(action: ReconcileAction): void {
    const key = action.kind === 'remove' ? action.container : action.deploymentId
    if (this.#stopping.signal.aborted) return
    if (this.#busy.has(key)) {
      if (action.kind === 'serve') this.#again.add(key)
      return
    }
    const doing = this.#carryOut(action)
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return
        this.services.logger.warn(FAILED[action.kind], { of: key, error: (error as Error).message })
      })
      .finally(() => {
        this.#busy.delete(key)
        if (this.#again.delete(key)) this.#task.runNow()
      })
    this.#busy.set(key, doing)
  }

  async #carryOut(action: ReconcileAction): Promise<void> {
    const { services } = this
    const { signal } = this.#stopping
    if (action.kind === 'serve') return resumeServing(action.deploymentId, services, signal)
    if (action.kind === 'retire') return retire({ deploymentId: action.deploymentId }, services, signal)
    // Right before something is destroyed the truth is read once more: between the look and here it may have changed.
    const { actions } = await this.#compare()
    if (!actions.some((one) => one.kind === 'remove' && one.container === action.container)) return
    services.logger.info('removing a container that nothing needs', { container: action.container })
    await services.docker.removeContainer(action.container, STOP_GRACE_SECONDS)
  }

  async #followEvents(): Promise<void> {
    const { signal } = this.#stopping
    const label = `${INSTANCE_LABEL}=${this.services.settings.instanceId}`
    let said: string | null = null
    while (!signal.aborted) {
      try {
        const events = await this.services.docker.containerEvents(label, signal)
        said = null
        // Nobody has told what happened while there was no connection.
        await this.#clearStaleAddresses()
        this.#task.runNow()
        for await (const { action } of events) if (CHANGES.includes(action)) this.#reconcileSoon()
      } catch (error) {
        const { message } = error as Error
        // An engine that is away for an hour must not fill the log.
        if (!signal.aborted && message !== said) {
          this.services.logger.warn('lost the Docker event stream; reconnecting', { error: message })
        }
        said = message
      }
      await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Nothing may be routed to others' containers. */
  async #clearStaleAddresses(): Promise<void> {
    const { router, settings } = this.services
    if (await clearStaleAddresses(this.services, settings.instanceId))
      await router.apply().catch(() => undefined)
  }

  #reconcileSoon(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined
      this.#task.runNow()
    }, GATHER_MS)
  }
}
