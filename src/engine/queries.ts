import { type DataSource, In, type ObjectLiteral, type SelectQueryBuilder } from 'typeorm'
import { App } from '../entities/app.js'
import { CommitStatusTarget } from '../entities/commit-status.js'
import { DeploymentEvent } from '../entities/deployment-event.js'
import { Deployment } from '../entities/deployment.js'
import { Domain } from '../entities/domain.js'
import { StoredRepositoryCredential } from '../entities/repository-credential.js'
import { Stage } from '../entities/stage.js'
import { Variable } from '../entities/variable.js'
import { type ConfigurationDiff, diffConfigurations } from './configuration/diff.js'
import { WebhookDelivery } from '../entities/webhook-delivery.js'
import { Webhook } from '../entities/webhook.js'
import { Cursors } from './sql/cursors.js'
import { readEntities } from './sql/entities.js'
import { type DeploymentFilter, filtered } from './deployment-filter.js'
import { badInput } from './command-error.js'
import { asShown, SHOWN_COLUMNS, type ShownDeployment } from './shown.js'

/** Rows of one page, and whether others follow. `cursor` gives what to pass as `after` for the page behind a row. */
export interface Page<T> {
  readonly rows: T[]
  readonly hasNextPage: boolean
  /** Whether it is asked for behind a row. */
  readonly hasPreviousPage: boolean
  /** Of all pages; counted when it is asked for. */
  readonly totalCount: () => Promise<number>
  readonly cursor: (row: T) => string
}

export const MAX_PAGE = 200
const APPS = new Cursors('apps', /^[a-z][a-z0-9-]{0,31}$/)
const DEPLOYMENTS = new Cursors('deployments', /^\d{1,15}$/)
const DELIVERIES = new Cursors('deliveries', /^\d{1,15}$/)

/** What the API may read. Deleted apps, and what belongs to them, are not there. */
export class Queries {
  constructor(readonly database: DataSource) {}

  /** By name. `search`: a part of the name or of the repository's address, in any case. */
  async apps(first: number, after: string | null, search: string | null = null): Promise<Page<App>> {
    const limit = checkFirst(first)
    const query = this.database.getRepository(App).createQueryBuilder('app').where('app.deletedAt IS NULL')
    if (search) {
      const part = 'strpos(app.name, lower(:search)) > 0 OR strpos(lower(app.repoUrl), lower(:search)) > 0'
      query.andWhere(`(${part})`, { search })
    }
    const all = query.clone()
    if (after !== null) query.andWhere('app.name > :after', { after: APPS.decode(after) })
    const rows = await readEntities(query.orderBy('app.name').limit(limit + 1))
    return pageOf({ rows, limit, after }, all, (app) => APPS.encode(app.name))
  }

  async app(by: { id?: string | null; name?: string | null }): Promise<App | null> {
    if (!by.id && !by.name) throw badInput('id', 'give the id or the name of an app')
    const query = this.database.getRepository(App).createQueryBuilder('app').where('app.deletedAt IS NULL')
    if (by.id) query.andWhere('app.id = :id', { id: by.id })
    if (by.name) query.andWhere('app.name = :name', { name: by.name })
    const [app] = await readEntities(query)
    return app ?? null
  }

  async deployment(id: string): Promise<ShownDeployment | null> {
    const [row] = await readShown(filtered(this.database, {}).andWhere('deployment.id = :id', { id }))
    return row ?? null
  }

  /** Newest first. */
  async deployments(
    first: number,
    after: string | null,
    filter: DeploymentFilter,
  ): Promise<Page<ShownDeployment>> {
    const limit = checkFirst(first)
    const query = filtered(this.database, filter)
    const all = query.clone()
    if (after !== null) {
      query.andWhere('deployment.generation < :generation', { generation: DEPLOYMENTS.decode(after) })
    }
    const rows = await readShown(query.orderBy('deployment.generation', 'DESC').limit(limit + 1))
    return pageOf({ rows, limit, after }, all, (deployment) => DEPLOYMENTS.encode(deployment.generation))
  }

  /** What differs between what two deployments of an app run with. @throws CommandError */
  configurationDiff(fromId: string, toId: string): Promise<ConfigurationDiff> {
    return diffConfigurations(this.database, fromId, toId)
  }

  /** Newest first. */
  async webhookDeliveries(
    appId: string,
    first: number,
    after: string | null,
  ): Promise<Page<WebhookDelivery>> {
    const limit = checkFirst(first)
    const query = this.database
      .getRepository(WebhookDelivery)
      .createQueryBuilder('delivery')
      .where('delivery.appId = :appId', { appId })
    const all = query.clone()
    if (after !== null) query.andWhere('delivery.number < :number', { number: DELIVERIES.decode(after) })
    const rows = await readEntities(query.orderBy('delivery.number', 'DESC').limit(limit + 1))
    return pageOf({ rows, limit, after }, all, (delivery) => DELIVERIES.encode(delivery.number))
  }

  /** Of all stages of each app, the one that was asked for last. */
  async latestDeployments(appIds: readonly string[]): Promise<Map<string, ShownDeployment>> {
    const query = this.database
      .getRepository(Deployment)
      .createQueryBuilder('deployment')
      .distinctOn(['deployment.appId'])
      .where('deployment.appId = ANY(:appIds)', { appIds })
      .orderBy('deployment.appId')
      .addOrderBy('deployment.generation', 'DESC')
    return new Map((await readShown(query)).map((row) => [row.appId, row]))
  }

  appsById(ids: readonly string[]): Promise<App[]> {
    return this.database.getRepository(App).findBy({ id: In([...ids]) })
  }

  deploymentsById(ids: readonly string[]): Promise<ShownDeployment[]> {
    const query = this.database.getRepository(Deployment).createQueryBuilder('deployment')
    return readShown(query.where('deployment.id = ANY(:ids)', { ids }))
  }

  stagesById(ids: readonly string[]): Promise<Stage[]> {
    return this.database.getRepository(Stage).findBy({ id: In([...ids]) })
  }

  /** Production first, then by name. */
  stagesOfApps(appIds: readonly string[]): Promise<Stage[]> {
    return this.database
      .getRepository(Stage)
      .createQueryBuilder('stage')
      .where('stage.appId IN (:...appIds)', { appIds })
      .orderBy(`stage.name = 'production'`, 'DESC')
      .addOrderBy('stage.name')
      .getMany()
  }

  variablesOfStages(stageIds: readonly string[]): Promise<Variable[]> {
    return this.database
      .getRepository(Variable)
      .find({ where: { stageId: In([...stageIds]) }, order: { key: 'ASC' } })
  }

  domainsOfStages(stageIds: readonly string[]): Promise<Domain[]> {
    return this.database
      .getRepository(Domain)
      .find({ where: { stageId: In([...stageIds]) }, order: { host: 'ASC' } })
  }

  webhooksOfApps(appIds: readonly string[]): Promise<Webhook[]> {
    return this.database.getRepository(Webhook).findBy({ appId: In([...appIds]) })
  }

  repositoryCredentialsOfApps(appIds: readonly string[]): Promise<StoredRepositoryCredential[]> {
    return this.database.getRepository(StoredRepositoryCredential).findBy({ appId: In([...appIds]) })
  }

  commitStatusesOfApps(appIds: readonly string[]): Promise<CommitStatusTarget[]> {
    return this.database.getRepository(CommitStatusTarget).findBy({ appId: In([...appIds]) })
  }

  /** Why the forge has not taken the newest status of each app's; an app is left out where all is well. */
  async commitStatusErrors(appIds: readonly string[]): Promise<Map<string, string>> {
    const rows = await this.database.query<{ app_id: string; error: string | null }[]>(
      `SELECT DISTINCT ON (t.app_id) t.app_id, coalesce(t.stale_reason, r.error) AS error
         FROM commit_status_target t LEFT JOIN deployment d ON d.app_id = t.app_id
              LEFT JOIN commit_status_report r ON r.deployment_id = d.id
        WHERE t.app_id = ANY($1) AND (t.stale_reason IS NOT NULL OR r.deployment_id IS NOT NULL)
        ORDER BY t.app_id, d.generation DESC`,
      [appIds],
    )
    return new Map(rows.flatMap(({ app_id: id, error }) => (error === null ? [] : [[id, error] as const])))
  }

  /** Oldest first. */
  eventsOfDeployments(deploymentIds: readonly string[]): Promise<DeploymentEvent[]> {
    return this.database
      .getRepository(DeploymentEvent)
      .find({ where: { deploymentId: In([...deploymentIds]) }, order: { id: 'ASC' } })
  }

  /**
   * 1-based places of those that wait, in the order in which the engine claims (queue.ts): each app in turn, with the
   * newest of one stage. Older ones of a stage have its place: they end when the newest is claimed.
   */
  async queuePositions(deploymentIds: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.database.query<{ id: string; position: string }[]>(
      `WITH waiting AS (
         SELECT d.stage_id, a.id AS app_id, a.last_claim_at,
                row_number() OVER (PARTITION BY a.id ORDER BY min(d.generation)) AS turn
           FROM deployment d JOIN app a ON a.id = d.app_id
          WHERE d.status = 'PENDING' AND a.deleted_at IS NULL GROUP BY d.stage_id, a.id
       ), place AS (
         SELECT stage_id, row_number() OVER (ORDER BY turn, last_claim_at, app_id) AS position FROM waiting
       )
       SELECT d.id, place.position FROM deployment d JOIN place ON place.stage_id = d.stage_id
        WHERE d.id = ANY($1) AND d.status = 'PENDING'`,
      [deploymentIds],
    )
    return new Map(rows.map(({ id, position }) => [id, Number(position)]))
  }
}

async function readShown(query: SelectQueryBuilder<Deployment>): Promise<ShownDeployment[]> {
  const rows = await readEntities(query.select(SHOWN_COLUMNS.map((column) => `deployment.${column}`)))
  return rows.map(asShown)
}

function checkFirst(first: number): number {
  if (!Number.isInteger(first) || first < 1 || first > MAX_PAGE) {
    throw badInput('first', `must be a whole number from 1 to ${MAX_PAGE}`)
  }
  return first
}

/** What was read for a page: one row more than its limit where others follow. */
interface Slice<T> {
  readonly rows: T[]
  readonly limit: number
  readonly after: string | null
}

function pageOf<T>(
  { rows, limit, after }: Slice<T>,
  all: SelectQueryBuilder<ObjectLiteral>,
  cursor: (row: T) => string,
): Page<T> {
  const totalCount = () => all.getCount()
  const [hasNextPage, hasPreviousPage] = [rows.length > limit, after !== null]
  return { rows: rows.slice(0, limit), hasNextPage, hasPreviousPage, totalCount, cursor }
}
