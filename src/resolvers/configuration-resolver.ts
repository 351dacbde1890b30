import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import { ConfigurationDiffType } from '../schema/configuration.js'
import type { RequestContext } from './request-context.js'

@Resolver(() => ConfigurationDiffType)
export class ConfigurationResolver {
  @Query(() => ConfigurationDiffType, {
    description: 'Compares what two deployments of an app were built from and run with.',
  })
  configurationDiff(
    @Ctx() { queries }: RequestContext,
    @Arg('from', () => ID, { description: 'Id of the first deployment.' }) from: string,
    @Arg('to', () => ID, { description: 'Id of the second deployment.' }) to: string,
  ) {
    return queries.configurationDiff(from, to)
  }
}
