import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { deploymentUrl } from '../engine/names.js'
import { badInput } from '../engine/command-error.js'
import { storedEntries } from '../engine/logs/reader.js'
import { readPage } from '../engine/logs/store.js'
import { MAX_PAGE } from '../engine/queries.js'
import { DEPLOYMENT_ERROR_CODES } from '../entities/deployment-error-code.js'
import { IN_FLIGHT_STATUSES } from '../entities/deployment-status.js'
import type { Deployment } from '../entities/deployment.js'
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
  @Query(() => DeploymentType, { nullable: true, description: 'By id.' })
  deployment(
    @Ctx() { queries }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the deployment.' }) id: string,
  ) {
    return queries.deployment(id)
  }

  @Query(() => DeploymentConnectionType, {
    complexity: pageCost,
    description: 'Of all apps, newest first.',
  })
  async deployments(
    @Ctx() { queries }: RequestContext,
    @Arg('first', () => Int, { defaultValue: 20, description: 'Items per page: 1 to 200.' }) first: number,
    @Arg('after', () => String, { nullable: true, description: 'Cursor of the last item that is known.' })
    after: string | null,
    @Arg('filter', () => DeploymentFilter, { nullable: true, description: 'Which are listed. Default: all.' })
    filter: DeploymentFilter | null,
  ) {
    return toConnection(await queries.deployments(first, after ?? null, filter ?? {}))
  }

  @Mutation(() => DeploymentType, {
    description:
      'Deploys a commit: a new deployment in the queue of its stage. Follow it with deploymentLogs.',
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
      'Cancels a deployment. Works until traffic has moved; afterwards CONFLICT says to roll back.',
  })
  cancelDeployment(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the deployment.' }) id: string,
  ) {
    return commands.deployments.cancel(id)
  }

  @Mutation(() => DeploymentType, {
    description: "Deploys an earlier image with that deployment's configuration; no build.",
  })
  rollback(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
    @Arg('stage', () => String, { defaultValue: 'production', description: 'Name of the stage.' })
    stage: string,
    @Arg('toDeploymentId', () => ID, {
      nullable: true,
      description: 'The deployment to return to. Default: the last one whose image differs from the current.',
    })
    toDeploymentId: string | null,
    @Arg('idempotencyKey', () => String, { nullable: true, description: IDEMPOTENCY_KEY })
    idempotencyKey: string | null,
  ) {
    return commands.releases.rollback(appId, { stage, toDeploymentId, idempotencyKey })
  }

  @Mutation(() => DeploymentType, {
    description: 'Deploys the same image in another stage; no build.',
  })
  promote(
    @Ctx() { commands }: RequestContext,
    @Arg('deploymentId', () => ID, { description: 'The deployment whose image is taken.' })
    deploymentId: string,
    @Arg('stage', () => String, { description: 'Name of the stage to deploy it in.' }) stage: string,
    @Arg('idempotencyKey', () => String, { nullable: true, description: IDEMPOTENCY_KEY })
    idempotencyKey: string | null,
  ) {
    return commands.releases.promote(deploymentId, { stage, idempotencyKey })
  }

  @FieldResolver(() => AppType, { description: 'The app that is deployed.' })
  app(@Root() deployment: Deployment, @Ctx() { loaders }: RequestContext) {
    return loaders.app.load(deployment.appId)
  }

  @FieldResolver(() => StageType, { description: 'The stage that it is deployed in.' })
  stage(@Root() deployment: Deployment, @Ctx() { loaders }: RequestContext) {
    return loaders.stage.load(deployment.stageId)
  }

  @FieldResolver(() => DeploymentType, {
    nullable: true,
    description: 'What it is a rollback to or a promotion of. Null: neither, or it is gone with its stage.',
  })
  source(@Root() { sourceId }: Deployment, @Ctx() { loaders }: RequestContext) {
    return sourceId === null ? null : loaders.deployment.load(sourceId)
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: "This deployment's own address while its container runs: {app}-{id}.{BASE_DOMAIN}.",
  })
  async url(@Root() deployment: Deployment, @Ctx() { loaders, address }: RequestContext) {
    const app = await loaders.app.load(deployment.appId)
    return app && deploymentUrl(deployment, app.name, address)
  }

  @FieldResolver(() => DeploymentErrorType, {
    nullable: true,
    description: 'Why it failed. Null: it did not.',
  })
  error(@Root() deployment: Deployment): DeploymentErrorType | null {
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

  @FieldResolver(() => Boolean, { description: 'Whether cancelDeployment would be taken now.' })
  canCancel(@Root() { status, shownAs }: Deployment): boolean {
    // What is shown as an earlier status has moved traffic already.
    return shownAs === null && CANCELLABLE.includes(status)
  }

  @FieldResolver(() => Boolean, {
    description: 'Whether rollback to it would be taken now: it has served, and its image is kept.',
  })
  canRollback(@Root() { liveAt, imageId }: Deployment): boolean {
    return liveAt !== null && imageId !== null
  }

  @FieldResolver(() => Int, { nullable: true, description: '1-based place in the queue while PENDING.' })
  queuePosition(@Root() deployment: Deployment, @Ctx() { loaders }: RequestContext) {
    return deployment.status === DeploymentStatus.PENDING ? loaders.queuePosition.load(deployment.id) : null
  }

  @FieldResolver(() => [DeploymentEventType], { description: 'Its changes of status, oldest first.' })
  events(@Root() deployment: Deployment, @Ctx() { loaders }: RequestContext) {
    return loaders.eventsOfDeployment.load(deployment.id)
  }

  @FieldResolver(() => LogPageType, {
    complexity: pageCost,
    description: "Stored chunks after `after`, oldest first: the same cursor as the subscription's.",
  })
  async logs(
    @Root() deployment: Deployment,
    @Ctx() { queries }: RequestContext,
    @Arg('after', () => Int, { defaultValue: 0, description: 'The last `seq` that is known.' }) after: number,
    @Arg('first', () => Int, { defaultValue: 200, description: 'Events per page: 1 to 200.' }) first: number,
  ) {
    checkAfter(after)
    if (first < 1 || first > MAX_PAGE) throw badInput('first', `must be from 1 to ${MAX_PAGE}`)
    const page = await readPage(queries.database, deployment.id, after, first)
    return { events: page ? storedEntries(page) : [], end: page?.end ?? null }
  }
}
