import { type DataSource, type EntityManager, In } from 'typeorm'
import { DeploymentStatus, isSettled } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'
import { KEPT_FOR_RETURN, NEXT_STATUSES } from './states.js'
import { WakeEvent } from './wake-event.js'
import type { Wakeups } from './wakeups.js'

/** A wake-up that was lost is made up for after this. */
const POLL_MS = 2_000
const CHANGEABLE = Object.values(DeploymentStatus).filter((status) => NEXT_STATUSES[status].length > 0)

interface Change {
  id: string
  deployment_id: string
  to_status: DeploymentStatus
}

/**
 * Follows the status of one deployment, or of all deployments of an app, change by change: none is skipped, however
 * fast they come, because the recorded events are what is read.
 *
 * One deployment: its present state first, and completion when it cannot change any more. An app: every change from
 * now on, without an end. Pull only; an iterator object, so that `return()` ends a wait at once.
 */
export class DeploymentChanges implements AsyncIterableIterator<Deployment> {
  /** The last event that was shown, by deployment; of those before the start only what could still change. */
  readonly #seen = new Map<string, string>()
  #newestAtStart = 0
  readonly #stopListening: () => void
  #ready: Deployment[] = []
  #started = false
  #done = false
  readonly #news = new WakeEvent()

  constructor(
    private readonly database: DataSource,
    wakeups: Wakeups,
    private readonly scope: { readonly deploymentId: string } | { readonly appId: string },
  ) {
    const own = 'deploymentId' in scope ? scope.deploymentId : null
    this.#stopListening = wakeups.on('deployment', (id) => {
      if (own !== null && id !== '' && id !== own) return
      this.#news.set()
    })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Takes the starting point. Call it before the subscription is answered, so that "from now on" means that. */
  async start(): Promise<this> {
    // One snapshot: an event between the two reads would be shown twice.
    await this.database.transaction('REPEATABLE READ', (manager) => this.#takeStart(manager))
    return this
  }

  async #takeStart(manager: EntityManager): Promise<void> {
    const rows = await manager.query<{ id: string; last: string | null; newest: string }[]>(
      `SELECT d.id, (SELECT max(e.id) FROM deployment_event e WHERE e.deployment_id = d.id) AS last, d.newest
         FROM (SELECT *, max(generation) OVER () AS newest FROM deployment d WHERE ${this.#column()} = $1) d
        WHERE d.generation = d.newest OR d.status = ANY($2)`,
      [this.#id(), CHANGEABLE],
    )
    for (const { id, last } of rows) this.#seen.set(id, last ?? '0')
    this.#newestAtStart = Number(rows[0]?.newest ?? 0)
    this.#started = true
    if ('deploymentId' in this.scope) {
      const row = await manager.findOneBy(Deployment, { id: this.scope.deploymentId })
      if (row) this.#ready.push(row)
      else this.#finish()
    }
  }

  async next(): Promise<IteratorResult<Deployment>> {
    try {
      if (!this.#started) await this.start()
      while (!this.#done && this.#ready.length === 0) await this.#fill()
    } catch (error) {
      this.#finish()
      throw error
    }
    const deployment = this.#done ? undefined : this.#ready.shift()
    if (!deployment) return { done: true, value: undefined }
    if ('deploymentId' in this.scope && (await this.#isFinal(deployment))) this.#finish()
    return { done: false, value: deployment }
  }

  return(): Promise<IteratorResult<Deployment>> {
    this.#finish()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** A RETIRED one serves again only where its stage was stopped and is started, or its successor fails. */
  async #isFinal({ id, status, stageId }: Deployment): Promise<boolean> {
    if (status !== DeploymentStatus.RETIRED) return NEXT_STATUSES[status].length === 0
    const sql = `SELECT 1 FROM deployment d JOIN stage s ON s.id = d.stage_id
      WHERE s.id = $1 AND d.id = $2 AND (s.current_deployment_id = d.id OR ${KEPT_FOR_RETURN})`
    return (await this.database.query<unknown[]>(sql, [stageId, id])).length === 0
  }

  #finish(): void {
    this.#done = true
    this.#stopListening()
    this.#news.set()
  }

  #column(): string {
    return 'deploymentId' in this.scope ? 'd.id' : 'd.app_id'
  }

  #id(): string {
    return 'deploymentId' in this.scope ? this.scope.deploymentId : this.scope.appId
  }

  async #fill(): Promise<void> {
    this.#news.clear() // before the read: a change during it must not be slept through
    const changes = await this.#read()
    if (changes.length > 0) {
      const ids = [...new Set(changes.map((change) => change.deployment_id))]
      const rows = await this.database.getRepository(Deployment).findBy({ id: In(ids) })
      const byId = new Map(rows.map((row) => [row.id, row]))
      for (const change of changes) {
        this.#seen.set(change.deployment_id, change.id)
        const row = byId.get(change.deployment_id)
        if (row) this.#ready.push(asOf(row, change.to_status))
      }
    } else if (await this.#isGone()) this.#finish()
    else if (!this.#done) await this.#news.wait(POLL_MS)
  }

  #read(): Promise<Change[]> {
    return this.database.query<Change[]>(
      `SELECT e.id, e.deployment_id, e.to_status
         FROM deployment d JOIN deployment_event e ON e.deployment_id = d.id
         LEFT JOIN unnest($2::text[], $3::bigint[]) AS seen (deployment_id, last) ON seen.deployment_id = d.id
        WHERE ${this.#column()} = $1 AND (seen.last IS NOT NULL OR d.generation > $4)
          AND e.id > coalesce(seen.last, 0) ORDER BY e.id LIMIT 100`,
      [this.#id(), [...this.#seen.keys()], [...this.#seen.values()], this.#newestAtStart],
    )
  }

  async #isGone(): Promise<boolean> {
    const table = 'deploymentId' in this.scope ? 'deployment' : 'app'
    const rows = await this.database.query<unknown[]>(`SELECT 1 FROM ${table} WHERE id = $1`, [this.#id()])
    return rows.length === 0
  }
}

/** The row as it was in an earlier status: what only a later one has is left out. */
function asOf(row: Deployment, status: DeploymentStatus): Deployment {
  if (row.status === status) return row
  const earlier = Object.assign(new Deployment(), row, { status })
  if (!isSettled(status)) Object.assign(earlier, { finishedAt: null, liveAt: null, errorCode: null })
  return earlier
}
