import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { deploymentUrl } from '../engine/addresses.js'
import { badInput } from '../engine/command-error.js'
import { storedEntries } from '../engine/logs/reader.js'
import { readPage } from '../engine/logs/store.js'
import { MAX_PAGE } from '../engine/queries.js'
import type { ShownDeployment } from '../engine/shown.js'
import { DEPLOYMENT_ERROR_CODES } from '../entities/deployment-error-code.js'
import { IN_FLIGHT_STATUSES } from '../entities/deployment-status.js'
import type { App } from '../entities/app.js'
import { AppType } from '../schema/app.js'
import { DeploymentConnectionType } from '../schema/connection.js'
import { DeploymentErrorType, DeploymentEventType, DeploymentType } from '../schema/deployment.js'
import { DeploymentStatus } from '../schema/enums.js'
import { DeploymentFilter } from '../schema/filters.js'
import { DeployInput, IDEMPOTENCY_KEY } from '../schema/inputs.js'
import { LogPageType } from '../schema/log.js'
import { StageType } from '../schema/stage.js'
import { checkAfter } from './log-resolver.js'
import { toConnection } from './connection.js'
import { pageCost } from './query-cost.js'
import type { RequestContext } from './request-context.js'

const CANCELLABLE: readonly DeploymentStatus[] = [DeploymentStatus.PENDING, ...IN_FLIGHT_STATUSES]

@Resolver(() => DeploymentType)
export class DeploymentResolver {
  @Query(() => DeploymentType, { nullable: true, description: 'A deployment, by id.' })
  deployment(
    @Ctx() { queries }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the deployment.' }) id: string,
  ) {
    return queries.deployment(id)
  }

  @Query(() => DeploymentConnectionType, {
    complexity: pageCost,
    description: 'Deployments of all apps, newest first.',
  })
  async deployments(
    @Ctx() { queries }: RequestContext,
    @Arg('first', () => Int, { defaultValue: 20, description: 'Items per page: 1 to 200.' }) first: number,
    @Arg('after', () => String, { nullable: true, description: 'Cursor after which the page starts.' })
    after: string | null,
    @Arg('filter', () => DeploymentFilter, {
      nullable: true,
      description: 'Which deployments to list. Default: all.',
    })
    filter: DeploymentFilter | null,
  ) {
    return toConnection(await queries.deployments(first, after ?? null, filter ?? {}))
  }

  @Mutation(() => DeploymentType, {
    description: 'Deploys a commit: adds a deployment to the queue. Follow it with deploymentLogs.',
  })
  deploy(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
    @Arg('input', () => DeployInput, {
      nullable: true,
      description: 'Default: the production stage at its branch.',
    })
    input: DeployInput | null,
  ) {
    return commands.deployments.deploy(appId, input ?? {})
  }

  @Mutation(() => DeploymentType, {
    description:
      'Cancels a deployment, until traffic moves. After that it fails with CONFLICT: roll back instead.',
  })
  cancelDeployment(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the deployment.' }) id: string,
  ) {
    return commands.deployments.cancel(id)
  }

  @Mutation(() => DeploymentType, {
    description: "Deploys an earlier image with its deployment's configuration, without a build.",
  })
  rollback(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
    @Arg('stage', () => String, { defaultValue: 'production', description: 'Name of the stage.' })
    stage: string,
    @Arg('toDeploymentId', () => ID, {
      nullable: true,
      description:
        "The deployment to return to. Default: the last one whose image differs from the current deployment's.",
    })
    toDeploymentId: string | null,
    @Arg('idempotencyKey', () => String, { nullable: true, description: IDEMPOTENCY_KEY })
    idempotencyKey: string | null,
  ) {
    return commands.releases.rollback(appId, { stage, toDeploymentId, idempotencyKey })
  }

  @Mutation(() => DeploymentType, {
    description: 'Deploys the same image in another stage, without a build.',
  })
  promote(
    @Ctx() { commands }: RequestContext,
    @Arg('deploymentId', () => ID, { description: 'The deployment whose image to deploy.' })
    deploymentId: string,
    @Arg('stage', () => String, { description: 'Name of the stage to deploy it in.' }) stage: string,
    @Arg('idempotencyKey', () => String, { nullable: true, description: IDEMPOTENCY_KEY })
    idempotencyKey: string | null,
  ) {
    return commands.releases.promote(deploymentId, { stage, idempotencyKey })
  }

  @FieldResolver(() => AppType, { description: 'The app it belongs to.' })
  app(@Root() deployment: ShownDeployment, @Ctx() { loaders }: RequestContext) {
    return deployment.app ?? loaders.app.load(deployment.appId)
  }

  @FieldResolver(() => StageType, { description: 'The stage it belongs to.' })
  stage(@Root() deployment: ShownDeployment, @Ctx() { loaders }: RequestContext) {
    return loaders.stage.load(deployment.stageId)
  }

  @FieldResolver(() => DeploymentType, {
    nullable: true,
    description:
      'The deployment it rolls back to or promotes. Null: neither, or it was deleted with its stage.',
  })
  source(@Root() { sourceId }: ShownDeployment, @Ctx() { loaders }: RequestContext) {
    return sourceId === null ? null : loaders.deployment.load(sourceId)
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: "This deployment's own URL while its container runs, at {app}-{id}.{BASE_DOMAIN}.",
  })
  url(@Root() deployment: ShownDeployment, @Ctx() { loaders, address }: RequestContext) {
    const urlAt = (app: App | null) => app && deploymentUrl(deployment, app.name, address)
    return deployment.app ? urlAt(deployment.app) : loaders.app.load(deployment.appId).then(urlAt)
  }

  @FieldResolver(() => DeploymentErrorType, {
    nullable: true,
    description: 'Why it failed. Null: it did not fail.',
  })
  error(@Root() deployment: ShownDeployment): DeploymentErrorType | null {
    if (deployment.errorCode === null) return null
    return {
      // One that an older version has stored, and that is not given any more.
      code: deployment.errorCode in DEPLOYMENT_ERROR_CODES ? deployment.errorCode : 'INTERNAL',
      phase: deployment.errorPhase ?? deployment.status,
      message: deployment.errorMessage ?? '',
      exitCode: deployment.errorExitCode,
      lastLines: deployment.errorLastLines ?? [],
    }
  }

  @FieldResolver(() => Boolean, { description: 'Whether it can be cancelled now.' })
  canCancel(@Root() { status, shownAs }: ShownDeployment): boolean {
    // What is shown as an earlier status has moved traffic already.
    return shownAs === null && CANCELLABLE.includes(status)
  }

  @FieldResolver(() => Boolean, {
    description: 'Whether the stage can roll back to it now: it has served, and its image is kept.',
  })
  canRollback(@Root() { liveAt, imageId }: ShownDeployment): boolean {
    return liveAt !== null && imageId !== null
  }

  @FieldResolver(() => Int, {
    nullable: true,
    description: 'Position in the queue while PENDING, starting at 1.',
  })
  queuePosition(@Root() deployment: ShownDeployment, @Ctx() { loaders }: RequestContext) {
    return deployment.status === DeploymentStatus.PENDING ? loaders.queuePosition.load(deployment.id) : null
  }

  @FieldResolver(() => [DeploymentEventType], { description: 'Its changes of status, oldest first.' })
  events(@Root() deployment: ShownDeployment, @Ctx() { loaders }: RequestContext) {
    return loaders.eventsOfDeployment.load(deployment.id)
  }

  @FieldResolver(() => LogPageType, {
    complexity: pageCost,
    description: 'Stored chunks after `after`, oldest first. The cursor is the same as in deploymentLogs.',
  })
  async logs(
    @Root() deployment: ShownDeployment,
    @Ctx() { queries }: RequestContext,
    @Arg('after', () => Int, { defaultValue: 0, description: 'The last `seq` you have; 0 for the start.' })
    after: number,
    @Arg('first', () => Int, { defaultValue: 200, description: 'Events per page: 1 to 200.' }) first: number,
  ) {
    checkAfter(after)
    if (first < 1 || first > MAX_PAGE) throw badInput('first', `must be from 1 to ${MAX_PAGE}`)
    const page = await readPage(queries.database, deployment.id, { after, limit: first })
    return { events: page ? storedEntries(page) : [], end: page?.end ?? null }
  }
}
