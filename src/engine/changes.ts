import { type DataSource, type EntityManager, In } from 'typeorm'
import { DeploymentStatus } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'
import { asOf, asShown } from './shown.js'
import { KEPT_FOR_ROLLBACK } from './sql/predicates.js'
import { NEXT_STATUSES } from './queue/states.js'
import { PullIterator, type Shareable } from './wakeups/pull-iterator.js'
import type { Wakeups } from './wakeups/wakeups.js'

/**
 * So many of an app's newest deployments are known whatever their status. Generations are given out before the commit:
 * one that is not known, and newer than the oldest of these, is new also where a newer one was committed before it.
 */
const NEWEST = 100
const LAST_STATUSES = Object.values(DeploymentStatus).filter((status) => NEXT_STATUSES[status].length === 0)

/**
 * SQL: the deployment `d` of stage `s` can change. A RETIRED one serves again only where its stage was stopped and is
 * started, or where its successor fails. What is not announced yet changes for those who look.
 */
const CAN_CHANGE = `d.shown_as IS NOT NULL OR d.status <> ALL('{${LAST_STATUSES.join(',')}}') AND (d.status <> 'RETIRED'
  OR s.current_deployment_id = d.id OR ${KEPT_FOR_ROLLBACK})`

interface Change {
  id: string
  deployment_id: string
  generation: string
  to_status: DeploymentStatus
}

interface StartRow {
  id: string
  generation: string
  last: string | null
  can_change: boolean
}

/** How far a deployment has been shown. */
interface Seen {
  readonly generation: number
  /** Its last event. */
  readonly event: string
}

/**
 * Follows the status of one deployment, or of all deployments of an app, change by change: none is skipped, however
 * fast they come, because the recorded events are what is read.
 *
 * One deployment: its present state first, and completion when it cannot change any more. An app: the present state of
 * each that can still change, oldest first, then every change, without an end.
 */
export class DeploymentChanges extends PullIterator<Deployment> implements Shareable<Deployment> {
  readonly subject: string
  /** By deployment; of those that are not among the newest only what could still change. */
  #seen = new Map<string, Seen>()
  /** What is newer and was not seen is new. */
  #floor = 0
  readonly #stopListening: () => void
  /** The present state, until it is read. Null: the starting point was not taken yet. */
  #present: Deployment[] | null = null
  /** Of the last one that was read. */
  #status: DeploymentStatus | null = null

  constructor(
    private readonly database: DataSource,
    private readonly wakeups: Wakeups,
    private readonly scope: { readonly deploymentId: string } | { readonly appId: string },
  ) {
    super()
    this.subject = `changes of ${this.#column()} ${this.#id()}`
    const own = 'deploymentId' in scope ? scope.deploymentId : null
    this.#stopListening = wakeups.on('deployment', (id) => {
      if (own !== null && id !== '' && id !== own) return
      this.wake()
    })
  }

  /**
   * Takes the starting point. Call it before the subscription is answered, so that no change is missed. When it
   * fails nothing is left to be returned.
   */
  async start(): Promise<this> {
    try {
      await this.#takeStart()
      return this
    } catch (error) {
      this.finish()
      throw error
    }
  }

  async #takeStart(): Promise<void> {
    // One snapshot: an event between the two reads would be shown twice.
    await this.database.transaction('REPEATABLE READ', (manager) => this.#readPresent(manager))
  }

  async #readPresent(manager: EntityManager): Promise<void> {
    const rows = await manager.query<StartRow[]>(
      `SELECT d.id, d.generation, (${CAN_CHANGE}) AS can_change, (SELECT max(e.id) FROM deployment_event e WHERE e.deployment_id = d.id) AS last
         FROM (SELECT *, row_number() OVER (ORDER BY generation DESC) AS place
                 FROM deployment d WHERE ${this.#column()} = $1) d JOIN stage s ON s.id = d.stage_id
        WHERE d.place <= $2 OR (${CAN_CHANGE}) ORDER BY d.generation DESC`,
      [this.#id(), NEWEST],
    )
    for (const { id, generation, last } of rows) {
      this.#seen.set(id, { generation: Number(generation), event: last ?? '0' })
    }
    this.#floor = Number(rows[NEWEST - 1]?.generation ?? 0)
    const ids = rows.filter((row) => 'deploymentId' in this.scope || row.can_change).map(({ id }) => id)
    const present = await manager.find(Deployment, { where: { id: In(ids) }, order: { generation: 'ASC' } })
    this.#present = present.map((row) => this.#show(asShown(row)))
  }

  protected async read(): Promise<Deployment[]> {
    if (!this.#present) await this.#takeStart()
    const present = this.#present ?? []
    this.#present = []
    return present.length > 0 ? present : this.#readOn()
  }

  protected give({ status }: Deployment): boolean {
    return 'deploymentId' in this.scope && LAST_STATUSES.includes(status)
  }

  protected release(): void {
    this.#stopListening()
  }

  /** Two that have begun at different times know different deployments of an app that has many: these do not meet. */
  position(): string {
    const seen = [...this.#seen].map(([id, { event }]) => `${id} ${event}`)
    return JSON.stringify([this.#present?.map(({ id }) => id), this.#floor, seen.sort()])
  }

  fork(): DeploymentChanges {
    const fork = new DeploymentChanges(this.database, this.wakeups, this.scope)
    fork.#seen = new Map(this.#seen)
    fork.#floor = this.#floor
    fork.#present = this.#present
    fork.#status = this.#status
    return fork
  }

  shownTo(): void {
    // Whoever changes a deployment does not wait for those who watch.
  }

  #column(): string {
    return 'deploymentId' in this.scope ? 'd.id' : 'd.app_id'
  }

  #id(): string {
    return 'deploymentId' in this.scope ? this.scope.deploymentId : this.scope.appId
  }

  async #readOn(): Promise<Deployment[]> {
    const ended = await this.#ended() // before the events: who cannot change has had its last one by then
    const changes = await this.#changes()
    if (changes.length > 0) return this.#shownAfter(changes)
    const isComplete = ended.length > 0 && 'deploymentId' in this.scope
    if (ended.length > 0 && !isComplete) this.#forget(new Set(ended))
    if (isComplete || (await this.#isGone())) this.finish()
    return []
  }

  async #shownAfter(changes: readonly Change[]): Promise<Deployment[]> {
    const ids = [...new Set(changes.map((change) => change.deployment_id))]
    const rows = await this.database.getRepository(Deployment).findBy({ id: In(ids) })
    const byId = new Map(rows.map((row) => [row.id, row]))
    return changes.flatMap(({ id, deployment_id: of, generation, to_status: status }) => {
      this.#seen.set(of, { generation: Number(generation), event: id })
      const row = byId.get(of)
      return row ? [this.#show(asOf(row, status))] : []
    })
  }

  /** Those that cannot change any more, where it matters: one that is followed by itself, or when they are many. */
  async #ended(): Promise<string[]> {
    const asks =
      'deploymentId' in this.scope ? this.#status === DeploymentStatus.RETIRED : this.#seen.size >= 2 * NEWEST
    if (!asks) return []
    const rows = await this.database.query<{ id: string }[]>(
      `SELECT d.id FROM deployment d JOIN stage s ON s.id = d.stage_id WHERE d.id = ANY($1) AND (${CAN_CHANGE}) IS NOT TRUE`,
      [[...this.#seen.keys()]],
    )
    return rows.map(({ id }) => id)
  }

  #forget(ended: ReadonlySet<string>): void {
    const byAge = [...this.#seen].sort(([, one], [, other]) => other.generation - one.generation)
    const older = byAge.slice(NEWEST)
    this.#floor = Math.max(this.#floor, older[0]?.[1].generation ?? 0)
    for (const [id] of older) if (ended.has(id)) this.#seen.delete(id)
  }

  #show(deployment: Deployment): Deployment {
    this.#status = deployment.status
    return deployment
  }

  #changes(): Promise<Change[]> {
    return this.database.query<Change[]>(
      `SELECT e.id, e.deployment_id, d.generation, e.to_status
         FROM deployment d JOIN deployment_event e ON e.deployment_id = d.id
         LEFT JOIN unnest($2::text[], $3::bigint[]) AS seen (deployment_id, last) ON seen.deployment_id = d.id
        WHERE ${this.#column()} = $1 AND (seen.last IS NOT NULL OR d.generation > $4)
          AND e.id > coalesce(seen.last, 0) ORDER BY e.id LIMIT 100`,
      [this.#id(), [...this.#seen.keys()], [...this.#seen.values()].map(({ event }) => event), this.#floor],
    )
  }

  async #isGone(): Promise<boolean> {
    const table = 'deploymentId' in this.scope ? 'deployment' : 'app'
    const rows = await this.database.query<unknown[]>(`SELECT 1 FROM ${table} WHERE id = $1`, [this.#id()])
    return rows.length === 0
  }
}
