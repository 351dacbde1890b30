import { Arg, Ctx, FieldResolver, ID, Mutation, Resolver, Root } from 'type-graphql'
import { publicUrl, stageHost } from '../engine/names.js'
import type { Stage } from '../entities/stage.js'
import { AppType } from '../schema/app.js'
import { DeploymentType } from '../schema/deployment.js'
import { UpdateStageInput, VariableInput } from '../schema/inputs.js'
import { DomainType, HealthCheckType, LimitsType, StageType, VariableType } from '../schema/stage.js'
import type { RequestContext } from './request-context.js'

@Resolver(() => StageType)
export class StageResolver {
  @Mutation(() => StageType, {
    description:
      'The stage answers no more and its containers go; what waits or is under way for it is cancelled. startStage brings back what served.',
  })
  stopStage(@Ctx() { commands }: RequestContext, @Arg('id', () => ID) id: string) {
    return commands.stages.stop(id)
  }

  @Mutation(() => StageType, { description: 'Serves again what served when the stage was stopped.' })
  startStage(@Ctx() { commands }: RequestContext, @Arg('id', () => ID) id: string) {
    return commands.stages.start(id)
  }

  @Mutation(() => StageType, {
    description:
      'A new deployment of the image that serves, with its configuration: no build, no request dropped.',
  })
  restartStage(@Ctx() { commands }: RequestContext, @Arg('id', () => ID) id: string) {
    return commands.stages.restart(id)
  }

  @Mutation(() => StageType, { description: 'A further stage, with nothing in it yet.' })
  createStage(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID) appId: string,
    @Arg('name', () => String) name: string,
    @Arg('branch', () => String, { nullable: true }) branch: string | null,
  ) {
    return commands.stages.create(appId, name, branch ?? null)
  }

  @Mutation(() => Boolean, {
    description:
      'Stops the stage and removes all of it; production goes with its app. True when there was such a stage.',
  })
  deleteStage(@Ctx() { commands }: RequestContext, @Arg('id', () => ID) id: string) {
    return commands.stages.delete(id)
  }

  @Mutation(() => StageType, {
    description:
      "Sets those that are given and leaves the others. Takes effect with the stage's next deployment.",
  })
  setVariables(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID) stageId: string,
    @Arg('variables', () => [VariableInput]) variables: VariableInput[],
  ) {
    return commands.variables.set(stageId, variables)
  }

  @Mutation(() => StageType, {
    description:
      "setVariables from the text of a .env file: KEY=value lines, quotes, comments and export as usual; nothing is expanded. Takes effect with the stage's next deployment.",
  })
  importVariables(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID) stageId: string,
    @Arg('text', () => String) text: string,
  ) {
    return commands.variables.import(stageId, text)
  }

  @Mutation(() => StageType, { description: "Takes effect with the stage's next deployment." })
  unsetVariables(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID) stageId: string,
    @Arg('keys', () => [String]) keys: string[],
  ) {
    return commands.variables.unset(stageId, keys)
  }

  @Mutation(() => StageType, { description: "Takes effect with the stage's next deployment." })
  updateStage(
    @Ctx() { commands }: RequestContext,
    @Arg('id', () => ID) id: string,
    @Arg('input', () => UpdateStageInput) input: UpdateStageInput,
  ) {
    return commands.stageSettings.update(id, input)
  }

  @Mutation(() => StageType, {
    description: 'The stage answers on the host as well, at once. A host belongs to one stage of all.',
  })
  addDomain(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID) stageId: string,
    @Arg('host', () => String) host: string,
  ) {
    return commands.domains.add(stageId, host)
  }

  @Mutation(() => StageType)
  removeDomain(
    @Ctx() { commands }: RequestContext,
    @Arg('stageId', () => ID) stageId: string,
    @Arg('host', () => String) host: string,
  ) {
    return commands.domains.remove(stageId, host)
  }

  @FieldResolver(() => AppType)
  app(@Root() stage: Stage, @Ctx() { loaders }: RequestContext) {
    return loaders.app.load(stage.appId)
  }

  @FieldResolver(() => String)
  async url(@Root() stage: Stage, @Ctx() { loaders, address }: RequestContext) {
    const app = await loaders.app.load(stage.appId)
    return app && publicUrl(stageHost(app.name, stage.name, address.baseDomain), address.publicPort)
  }

  @FieldResolver(() => DeploymentType, { nullable: true })
  current(@Root() stage: Stage, @Ctx() { loaders }: RequestContext) {
    return stage.currentDeploymentId && loaders.deployment.load(stage.currentDeploymentId)
  }

  @FieldResolver(() => [DomainType])
  domains(@Root() stage: Stage, @Ctx() { loaders }: RequestContext) {
    return loaders.domainsOfStage.load(stage.id)
  }

  @FieldResolver(() => [VariableType])
  variables(@Root() stage: Stage, @Ctx() { loaders }: RequestContext) {
    return loaders.variablesOfStage.load(stage.id)
  }

  @FieldResolver(() => LimitsType)
  limits(@Root() { memoryBytes, cpus, pids }: Stage): LimitsType {
    return { memoryBytes, cpus, pids }
  }

  @FieldResolver(() => HealthCheckType)
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
