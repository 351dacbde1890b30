import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { publicUrl, stageHost } from '../engine/names.js'
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
  @Query(() => AppConnectionType, { description: 'By name.', complexity: pageCost })
  async apps(
    @Ctx() { queries }: RequestContext,
    @Arg('first', () => Int, { defaultValue: 50, description: 'Items per page: 1 to 200.' }) first: number,
    @Arg('after', () => String, { nullable: true, description: 'Cursor of the last item that is known.' })
    after: string | null,
    @Arg('search', () => String, {
      nullable: true,
      description: "A part of the name or of the repository's address, in any case.",
    })
    search: string | null,
  ) {
    return toConnection(await queries.apps(first, after ?? null, search ?? null))
  }

  @Query(() => AppType, { nullable: true, description: 'By id or by name.' })
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
    description: 'Changes settings of an app. Takes effect with its next deployment.',
  })
  updateApp(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the app.' }) id: string,
    @Arg('input', () => UpdateAppInput, { description: 'What changes.' }) input: UpdateAppInput,
  ) {
    return commands.apps.update(id, input)
  }

  @Mutation(() => Boolean, {
    description:
      'Stops and removes all that runs for it; its record and logs go with it. True when there was such an app.',
  })
  deleteApp(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the app.' }) id: string,
  ) {
    return commands.apps.delete(id)
  }

  @FieldResolver(() => String, { description: 'Where the production stage answers.' })
  url(@Root() app: App, @Ctx() { address }: RequestContext) {
    return publicUrl(stageHost(app.name, 'production', address.baseDomain), address.publicPort)
  }

  @FieldResolver(() => [BuildArgType], { description: 'By key.' })
  buildArgs(@Root() app: App): BuildArgType[] {
    const entries = Object.entries(app.buildArgs).sort(([a], [b]) => (a < b ? -1 : 1))
    return entries.map(([key, value]) => ({ key, value }))
  }

  @FieldResolver(() => DeploymentType, {
    nullable: true,
    description: 'Of all its stages, the one made last.',
  })
  latestDeployment(@Root() app: App, @Ctx() { loaders }: RequestContext) {
    return loaders.latestDeploymentOfApp.load(app.id)
  }

  @FieldResolver(() => [StageType], { description: 'Its stages: production first, then by name.' })
  stages(@Root() app: App, @Ctx() { loaders }: RequestContext) {
    return loaders.stagesOfApp.load(app.id)
  }

  @FieldResolver(() => StageType, {
    nullable: true,
    description: 'One of its stages. Null: it has none of that name.',
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

  @FieldResolver(() => DeploymentConnectionType, { description: 'Newest first.', complexity: pageCost })
  async deployments(
    @Root() app: App,
    @Ctx() { queries }: RequestContext,
    @Arg('first', () => Int, { defaultValue: 20, description: 'Items per page: 1 to 200.' }) first: number,
    @Arg('after', () => String, { nullable: true, description: 'Cursor of the last item that is known.' })
    after: string | null,
    @Arg('stage', () => String, { nullable: true, description: 'Only those of this stage, by its name.' })
    stage: string | null,
  ) {
    return toConnection(await queries.deployments(first, after ?? null, { appId: app.id, stage }))
  }
}
