import DataLoader from 'dataloader'
import type { App } from '../entities/app.js'
import type { CommitStatusTarget } from '../entities/commit-status.js'
import type { DeploymentEvent } from '../entities/deployment-event.js'
import type { Domain } from '../entities/domain.js'
import type { StoredRepositoryCredential } from '../entities/repository-credential.js'
import type { Stage } from '../entities/stage.js'
import type { Variable } from '../entities/variable.js'
import type { Webhook } from '../entities/webhook.js'
import type { Commands } from '../engine/commands.js'
import type { LogHub } from '../engine/logs/hub.js'
import type { Queries } from '../engine/queries.js'
import type { ShownDeployment } from '../engine/shown.js'
import type { Wakeups } from '../engine/wakeups/wakeups.js'

/** What the API is made of; the same for all requests. */
export interface ApiDependencies {
  readonly commands: Commands
  readonly queries: Queries
  readonly hub: LogHub
  readonly wakeups: Wakeups
  /** Where browsers reach what is deployed, and forges the API. */
  readonly address: PublicAddress
}

export interface PublicAddress {
  readonly baseDomain: string
  readonly publicPort: number
  readonly publicUrl: string
  readonly router: string
}

/** What resolvers work with. */
export interface RequestContext extends ApiDependencies {
  readonly loaders: Loaders
}

/** Gather the same read of many rows into one query. */
export interface Loaders {
  readonly app: DataLoader<string, App | null>
  readonly deployment: DataLoader<string, ShownDeployment | null>
  readonly stage: DataLoader<string, Stage | null>
  readonly latestDeploymentOfApp: DataLoader<string, ShownDeployment | null>
  readonly stagesOfApp: DataLoader<string, Stage[]>
  readonly variablesOfStage: DataLoader<string, Variable[]>
  readonly domainsOfStage: DataLoader<string, Domain[]>
  readonly webhookOfApp: DataLoader<string, Webhook[]>
  readonly repositoryCredentialOfApp: DataLoader<string, StoredRepositoryCredential[]>
  readonly commitStatusOfApp: DataLoader<string, CommitStatusTarget[]>
  readonly commitStatusError: DataLoader<string, string | null>
  readonly eventsOfDeployment: DataLoader<string, DeploymentEvent[]>
  readonly queuePosition: DataLoader<string, number | null>
}

export function createContext(dependencies: ApiDependencies): RequestContext {
  return { ...dependencies, loaders: createLoaders(dependencies.queries) }
}

function createLoaders(queries: Queries): Loaders {
  return {
    app: one((ids) => queries.appsById(ids)),
    deployment: one((ids) => queries.deploymentsById(ids)),
    stage: one((ids) => queries.stagesById(ids)),
    latestDeploymentOfApp: batch(async (ids) => {
      const latest = await queries.latestDeployments(ids)
      return ids.map((id) => latest.get(id) ?? null)
    }),
    stagesOfApp: many((ids) => queries.stagesOfApps(ids), appIdOf),
    variablesOfStage: many(
      (ids) => queries.variablesOfStages(ids),
      (variable) => variable.stageId,
    ),
    domainsOfStage: many(
      (ids) => queries.domainsOfStages(ids),
      (domain) => domain.stageId,
    ),
    webhookOfApp: many(
      (ids) => queries.webhooksOfApps(ids),
      (webhook) => webhook.appId,
    ),
    repositoryCredentialOfApp: many((ids) => queries.repositoryCredentialsOfApps(ids), appIdOf),
    commitStatusOfApp: many(
      (ids) => queries.commitStatusesOfApps(ids),
      (target) => target.appId,
    ),
    commitStatusError: batch(async (ids) => {
      const errors = await queries.commitStatusErrors(ids)
      return ids.map((id) => errors.get(id) ?? null)
    }),
    eventsOfDeployment: many(
      (ids) => queries.eventsOfDeployments(ids),
      (event) => event.deploymentId,
    ),
    queuePosition: batch(async (ids) => {
      const positions = await queries.queuePositions(ids)
      return ids.map((id) => positions.get(id) ?? null)
    }),
  }
}

const appIdOf = ({ appId }: { readonly appId: string }) => appId

/** Batches only: a subscription's context lives for hours, and a cache in it would show it its first answer for ever. */
function batch<V>(load: (ids: readonly string[]) => Promise<V[]>): DataLoader<string, V> {
  return new DataLoader(load, { cache: false, maxBatchSize: 200 })
}

function one<V extends { id: string }>(load: (ids: readonly string[]) => Promise<V[]>) {
  return batch<V | null>(async (ids) => {
    const byId = new Map((await load(ids)).map((row) => [row.id, row]))
    return ids.map((id) => byId.get(id) ?? null)
  })
}

function many<V>(load: (ids: readonly string[]) => Promise<V[]>, keyOf: (row: V) => string) {
  return batch<V[]>(async (ids) => {
    const byId = new Map(ids.map((id) => [id, [] as V[]]))
    for (const row of await load(ids)) byId.get(keyOf(row))?.push(row)
    return ids.map((id) => byId.get(id) ?? [])
  })
}
