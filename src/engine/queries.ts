import { type DataSource, In, IsNull } from 'typeorm'
import { App } from '../entities/app.js'
import { CommitStatusTarget } from '../entities/commit-status.js'
import { DeploymentEvent } from '../entities/deployment-event.js'
import { Deployment } from '../entities/deployment.js'
import { Domain } from '../entities/domain.js'
import { Stage } from '../entities/stage.js'
import { Variable } from '../entities/variable.js'
import { type ConfigurationDiff, diffConfigurations } from './configuration-diff.js'
import { WebhookDelivery } from '../entities/webhook-delivery.js'
import { Webhook } from '../entities/webhook.js'
import { badInput } from './errors.js'

/** Rows of one page, and whether others follow. `cursor` gives what to pass as `after` for the page behind a row. */
export interface Page<T> {
  readonly rows: T[]
  readonly hasNextPage: boolean
  readonly totalCount: number
  readonly cursor: (row: T) => string
}

export const MAX_PAGE = 200

/** What the API may read. Deleted apps, and what belongs to them, are not there. */
export class Queries {
  constructor(readonly database: DataSource) {}

  /** By name. */
  async apps(first: number, after: string | null): Promise<Page<App>> {
    const limit = checkFirst(first)
    const query = this.database.getRepository(App).createQueryBuilder('app').where('app.deletedAt IS NULL')
    const totalCount = await query.getCount()
    if (after !== null) query.andWhere('app.name > :after', { after: decodeCursor(after) })
    const rows = await query
      .orderBy('app.name')
      .take(limit + 1)
      .getMany()
    return pageOf(rows, limit, totalCount, (app) => app.name)
  }

  app(by: { id?: string | null; name?: string | null }): Promise<App | null> {
    if (!by.id && !by.name) throw badInput('id', 'give the id or the name of an app')
    const where = {
      ...(by.id ? { id: by.id } : {}),
      ...(by.name ? { name: by.name } : {}),
      deletedAt: IsNull(),
    }
    return this.database.getRepository(App).findOneBy(where)
  }

  deployment(id: string): Promise<Deployment | null> {
    return this.database.getRepository(Deployment).findOneBy({ id, app: { deletedAt: IsNull() } })
  }

  /** Newest first. */
  async deployments(
    appId: string,
    first: number,
    after: string | null,
    stageName: string | null = null,
  ): Promise<Page<Deployment>> {
    const limit = checkFirst(first)
    const query = this.database
      .getRepository(Deployment)
      .createQueryBuilder('deployment')
      .where('deployment.appId = :appId', { appId })
    if (stageName !== null) {
      query.innerJoin('deployment.stage', 'stage').andWhere('stage.name = :stageName', { stageName })
    }
    const totalCount = await query.getCount()
    if (after !== null) {
      query.andWhere('deployment.generation < :generation', { generation: decodeNumber(after) })
    }
    const rows = await query
      .orderBy('deployment.generation', 'DESC')
      .take(limit + 1)
      .getMany()
    return pageOf(rows, limit, totalCount, (deployment) => String(deployment.generation))
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
    const totalCount = await query.getCount()
    if (after !== null) query.andWhere('delivery.number < :number', { number: decodeNumber(after) })
    const rows = await query
      .orderBy('delivery.number', 'DESC')
      .take(limit + 1)
      .getMany()
    return pageOf(rows, limit, totalCount, (delivery) => String(delivery.number))
  }

  appsById(ids: readonly string[]): Promise<App[]> {
    return this.database.getRepository(App).findBy({ id: In([...ids]) })
  }

  deploymentsById(ids: readonly string[]): Promise<Deployment[]> {
    return this.database.getRepository(Deployment).findBy({ id: In([...ids]) })
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

  commitStatusesOfApps(appIds: readonly string[]): Promise<CommitStatusTarget[]> {
    return this.database.getRepository(CommitStatusTarget).findBy({ appId: In([...appIds]) })
  }

  /** Why the forge has not taken the newest status of an app's; null where it has, or is still to be told. */
  async commitStatusError(appId: string): Promise<string | null> {
    const [row] = await this.database.query<{ error: string | null }[]>(
      `SELECT r.error FROM commit_status_report r JOIN deployment d ON d.id = r.deployment_id
        WHERE d.app_id = $1 ORDER BY d.generation DESC LIMIT 1`,
      [appId],
    )
    return row?.error ?? null
  }

  /** Oldest first. */
  eventsOfDeployments(deploymentIds: readonly string[]): Promise<DeploymentEvent[]> {
    return this.database
      .getRepository(DeploymentEvent)
      .find({ where: { deploymentId: In([...deploymentIds]) }, order: { id: 'ASC' } })
  }

  /** 1-based places of those that wait, in the order in which the engine claims (queue.ts). */
  async queuePositions(deploymentIds: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.database.query<{ id: string; position: string }[]>(
      `SELECT id, position FROM (
         SELECT d.id, row_number() OVER (ORDER BY a.last_claim_at, a.id, d.generation DESC) AS position
           FROM deployment d JOIN app a ON a.id = d.app_id
          WHERE d.status = 'PENDING' AND a.deleted_at IS NULL) waiting
        WHERE id = ANY($1)`,
      [deploymentIds],
    )
    return new Map(rows.map(({ id, position }) => [id, Number(position)]))
  }
}

const NO_CURSOR = 'is not a cursor of this list'

function checkFirst(first: number): number {
  if (!Number.isInteger(first) || first < 1 || first > MAX_PAGE) {
    throw badInput('first', `must be a whole number from 1 to ${MAX_PAGE}`)
  }
  return first
}

function decodeCursor(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString('utf8')
  if (key.includes('\0')) throw badInput('after', NO_CURSOR)
  return key
}

function decodeNumber(cursor: string): number {
  const number = Number(decodeCursor(cursor))
  if (!Number.isSafeInteger(number)) throw badInput('after', NO_CURSOR)
  return number
}

function pageOf<T>(rows: T[], limit: number, totalCount: number, key: (row: T) => string): Page<T> {
  const hasNextPage = rows.length > limit
  const cursor = (row: T) => Buffer.from(key(row)).toString('base64url')
  return { rows: rows.slice(0, limit), hasNextPage, totalCount, cursor }
}
