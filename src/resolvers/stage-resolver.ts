import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql'
import { stageUrl } from '../engine/addresses.js'
import { readNodes } from '../engine/nodes.js'
import { Stage } from '../entities/stage.js'
import { AppType } from '../schema/app.js'
import { DeploymentType } from '../schema/deployment.js'
import { UpdateStageInput } from '../schema/stage-inputs.js'
import { IDEMPOTENCY_KEY, VariableInput } from '../schema/inputs.js'
import {
  DomainType,
  HealthCheckType,
  LimitsType,
  StageType,
  VariableType,
  VariablesPreviewType,
} from '../schema/stage.js'
import type { RequestContext } from './request-context.js'

const REPLACE = 'Whether to remove variables that are not given. Default: keep them.'

@Resolver(() => StageType)
export class StageResolver {
  @Query(() => StageType, { nullable: true, description: 'A stage, by id.' })
  async stage(
    @Ctx() { queries }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the stage.' }) id: string,
  ) {
    const [node] = await readNodes(queries.database, [id])
    return node instanceof Stage ? node : null
  }

  @Mutation(() => StageType, {
    description:
      'Stops the stage, removes its containers and cancels its waiting and running deployments. startStage brings back the version that served.',
  })
  stopStage(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the stage.' }) id: string,
  ) {
    return commands.stages.stop(id)
  }

  @Mutation(() => StageType, { description: 'Starts the version that served when the stage was stopped.' })
  startStage(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the stage.' }) id: string,
  ) {
    return commands.stages.start(id)
  }

  @Mutation(() => StageType, {
    description: 'Redeploys the current image with its configuration, without a build or a dropped request.',
  })
  restartStage(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the stage.' }) id: string,
    @Arg('idempotencyKey', () => String, { nullable: true, description: IDEMPOTENCY_KEY })
    idempotencyKey: string | null,
  ) {
    return commands.stages.restart(id, idempotencyKey)
  }

  @Mutation(() => StageType, {
    description: 'Adds a stage to an app. Nothing runs in it until its first deployment.',
  })
  createStage(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
    @Arg('name', () => String, { description: 'A DNS label, unique within the app.' }) name: string,
    @Arg('branch', () => String, {
      nullable: true,
      description: "The branch it follows. Null: the app's.",
    })
    branch: string | null,
  ) {
    return commands.stages.create(appId, name, branch ?? null)
  }

  @Mutation(() => Boolean, {
    description:
      'Stops the stage and deletes it with its deployments and logs. The production stage can only be deleted with its app. Returns whether the stage existed.',
  })
  deleteStage(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the stage.' }) id: string,
  ) {
    return commands.stages.delete(id)
  }

  @Mutation(() => StageType, {
    description: "Sets the given variables. Takes effect with the stage's next deployment.",
  })
  setVariables(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID, { description: 'Id of the stage.' }) stageId: string,
    @Arg('variables', () => [VariableInput], { description: 'The variables to set.' })
    variables: VariableInput[],
    @Arg('replace', () => Boolean, { defaultValue: false, description: REPLACE }) replaces: boolean,
  ) {
    return commands.variables.set(stageId, variables, replaces)
  }

  @Mutation(() => StageType, {
    description:
      "Like setVariables, from the text of a .env file: KEY=value lines, with quotes, comments and export as usual; nothing is expanded. Takes effect with the stage's next deployment.",
  })
  importVariables(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID, { description: 'Id of the stage.' }) stageId: string,
    @Arg('text', () => String, { description: 'The text of a .env file.' }) text: string,
    @Arg('replace', () => Boolean, { defaultValue: false, description: REPLACE }) replaces: boolean,
  ) {
    return commands.variables.import(stageId, text, replaces)
  }

  @Query(() => VariablesPreviewType, {
    description: 'Shows what importVariables with the same arguments would change. Changes nothing.',
  })
  importPreview(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID, { description: 'Id of the stage.' }) stageId: string,
    @Arg('text', () => String, { description: 'The text of a .env file.' }) text: string,
    @Arg('replace', () => Boolean, { defaultValue: false, description: REPLACE }) replaces: boolean,
  ): Promise<VariablesPreviewType> {
    return commands.variables.preview(stageId, text, replaces)
  }

  @Mutation(() => StageType, {
    description: "Removes variables. Takes effect with the stage's next deployment.",
  })
  unsetVariables(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID, { description: 'Id of the stage.' }) stageId: string,
    @Arg('keys', () => [String], { description: 'Names of the variables to remove.' }) keys: string[],
  ) {
    return commands.variables.unset(stageId, keys)
  }

  @Mutation(() => StageType, {
    description: 'Changes the settings of a stage. Takes effect with its next deployment.',
  })
  updateStage(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of the stage.' }) id: string,
    @Arg('input', () => UpdateStageInput, { description: 'The changes.' }) input: UpdateStageInput,
  ) {
    return commands.stageSettings.update(id, input)
  }

  @Mutation(() => StageType, {
    description: 'Routes a host name to the stage, at once. A host belongs to only one stage.',
  })
  addDomain(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID, { description: 'Id of the stage.' }) stageId: string,
    @Arg('host', () => String, { description: 'A host name, without scheme or port.' }) host: string,
  ) {
    return commands.domains.add(stageId, host)
  }

  @Mutation(() => StageType, { description: 'Stops routing a host name to the stage, at once.' })
  removeDomain(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID, { description: 'Id of the stage.' }) stageId: string,
    @Arg('host', () => String, { description: 'A host name, without scheme or port.' }) host: string,
  ) {
    return commands.domains.remove(stageId, host)
  }

  @FieldResolver(() => AppType, { description: 'The app it belongs to.' })
  app(@Root() stage: Stage, @Ctx() { loaders }: RequestContext) {
    return loaders.app.load(stage.appId)
  }

  @FieldResolver(() => String, { description: 'Its URL.' })
  async url(@Root() stage: Stage, @Ctx() { loaders, address }: RequestContext) {
    const app = await loaders.app.load(stage.appId)
    return app && stageUrl(app.name, stage.name, address)
  }

  @FieldResolver(() => DeploymentType, {
    nullable: true,
    description: 'The deployment that serves. Null: none.',
  })
  current(@Root() stage: Stage, @Ctx() { loaders }: RequestContext) {
    return stage.currentDeploymentId && loaders.deployment.load(stage.currentDeploymentId)
  }

  @FieldResolver(() => [DomainType], { description: 'Additional host names, sorted.' })
  domains(@Root() stage: Stage, @Ctx() { loaders }: RequestContext) {
    return loaders.domainsOfStage.load(stage.id)
  }

  @FieldResolver(() => [VariableType], { description: 'Its environment variables, sorted by key.' })
  variables(@Root() stage: Stage, @Ctx() { loaders }: RequestContext) {
    return loaders.variablesOfStage.load(stage.id)
  }

  @FieldResolver(() => LimitsType, { description: 'Resource limits of each of its containers.' })
  limits(@Root() { memoryBytes, cpus, pids }: Stage): LimitsType {
    return { memoryBytes, cpus, pids }
  }

  @FieldResolver(() => HealthCheckType, { description: 'How new versions are checked before they serve.' })
  healthCheck(@Root() stage: Stage): HealthCheckType {
    return {
      path: stage.healthPath,
      intervalSeconds: stage.healthIntervalSeconds,
      timeoutSeconds: stage.healthTimeoutSeconds,
      deadlineSeconds: stage.healthDeadlineSeconds,
      stableSeconds: stage.healthStableSeconds,
    }
  }
}
