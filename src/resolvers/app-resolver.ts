import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { stageUrl } from '../engine/addresses.js'
import type { App } from '../entities/app.js'
import { AppType, BuildArgType } from '../schema/app.js'
import { AppConnectionType, DeploymentConnectionType } from '../schema/connection.js'
import { DeploymentType } from '../schema/deployment.js'
import { CreateAppInput, UpdateAppInput } from '../schema/inputs.js'
import { StageType } from '../schema/stage.js'
import { toConnection } from './connection.js'
import { pageCost } from './query-cost.js'
import type { RequestContext } from './request-context.js'

@Resolver(() => AppType)
export class AppResolver {
  @Query(() => AppConnectionType, { description: 'Apps, sorted by name.', complexity: pageCost })
  async apps(
    @Ctx() { queries }: RequestContext,
    @Arg('first', () => Int, { defaultValue: 50, description: 'Items per page: 1 to 200.' }) first: number,
    @Arg('after', () => String, { nullable: true, description: 'Cursor after which the page starts.' })
    after: string | null,
    @Arg('search', () => String, {
      nullable: true,
      description: "Part of the name or of the repository's URL, case-insensitive.",
    })
    search: string | null,
  ) {
    return toConnection(await queries.apps(first, after ?? null, search ?? null))
  }

  @Query(() => AppType, { nullable: true, description: 'An app, by id or name.' })
  app(
    @Ctx() { queries }: RequestContext,
    @Arg('id', () => ID, { nullable: true, description: 'Id of the app.' }) id: string | null,
    @Arg('name', () => String, { nullable: true, description: 'Name of the app.' }) name: string | null,
  ) {
    return queries.app({ id, name })
  }

  @Mutation(() => AppType, {
    description:
      'Creates the app, its production stage and, unless deploy is false, its first deployment, in one transaction.',
  })
  createApp(
    @Ctx() { commands }: RequestContext,
    @Arg('input', () => CreateAppInput, { description: 'The new app.' }) input: CreateAppInput,
  ) {
    return commands.apps.create(input)
  }

  @Mutation(() => AppType, {
    description: 'Changes the settings of an app. Takes effect with its next deployment.',
  })
  updateApp(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the app.' }) id: string,
    @Arg('input', () => UpdateAppInput, { description: 'The changes.' }) input: UpdateAppInput,
  ) {
    return commands.apps.update(id, input)
  }

  @Mutation(() => Boolean, {
    description:
      'Deletes the app with everything that it runs, its deployments and their logs. Returns whether it existed.',
  })
  deleteApp(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the app.' }) id: string,
  ) {
    return commands.apps.delete(id)
  }

  @FieldResolver(() => String, { description: 'URL of the production stage.' })
  url(@Root() app: App, @Ctx() { address }: RequestContext) {
    return stageUrl(app.name, 'production', address)
  }

  @FieldResolver(() => [BuildArgType], { description: 'Build arguments, sorted by key.' })
  buildArgs(@Root() app: App): BuildArgType[] {
    const entries = Object.entries(app.buildArgs).sort(([a], [b]) => (a < b ? -1 : 1))
    return entries.map(([key, value]) => ({ key, value }))
  }

  @FieldResolver(() => DeploymentType, {
    nullable: true,
    description: 'The newest deployment across all its stages.',
  })
  async latestDeployment(@Root() app: App, @Ctx() { loaders }: RequestContext) {
    const deployment = await loaders.latestDeploymentOfApp.load(app.id)
    return deployment && Object.assign(deployment, { app })
  }

  @FieldResolver(() => [StageType], { description: 'Its stages: production first, then by name.' })
  stages(@Root() app: App, @Ctx() { loaders }: RequestContext) {
    return loaders.stagesOfApp.load(app.id)
  }

  @FieldResolver(() => StageType, {
    nullable: true,
    description: 'One of its stages. Null: no stage has that name.',
  })
  async stage(
    @Root() app: App,
    @Ctx() { loaders }: RequestContext,
    @Arg('name', () => String, { defaultValue: 'production', description: 'Name of the stage.' })
    name: string,
  ) {
    const stages = await loaders.stagesOfApp.load(app.id)
    return stages.find((stage) => stage.name === name) ?? null
  }

  @FieldResolver(() => DeploymentConnectionType, {
    description: 'Its deployments, newest first.',
    complexity: pageCost,
  })
  async deployments(
    @Root() app: App,
    @Ctx() { queries }: RequestContext,
    @Arg('first', () => Int, { defaultValue: 20, description: 'Items per page: 1 to 200.' }) first: number,
    @Arg('after', () => String, { nullable: true, description: 'Cursor after which the page starts.' })
    after: string | null,
    @Arg('stage', () => String, {
      nullable: true,
      description: 'Only deployments of the stage with this name.',
    })
    stage: string | null,
  ) {
    const page = await queries.deployments(first, after ?? null, { appId: app.id, stage })
    for (const deployment of page.rows) deployment.app = app
    return toConnection(page)
  }
}
