import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import { readNodes } from '../engine/nodes.js'
import { NodeType } from '../schema/node.js'
import type { RequestContext } from './request-context.js'

@Resolver()
export class NodeResolver {
  @Query(() => NodeType, { nullable: true, description: 'Whatever has this id.' })
  async node(
    @Ctx() { queries }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of an app, a stage or a deployment.' }) id: string,
  ) {
    return (await readNodes(queries.database, [id]))[0] ?? null
  }

  @Query(() => [NodeType], {
    nullable: 'items',
    description: 'Whatever has these ids, in their order: at most 100; null where there is none.',
  })
  nodes(
    @Ctx() { queries }: RequestContext,
    @Arg('ids', () => [ID], { description: 'Ids of apps, stages and deployments.' }) ids: string[],
  ) {
    return readNodes(queries.database, ids)
  }
}
