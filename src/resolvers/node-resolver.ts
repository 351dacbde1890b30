import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import { readNodes } from '../engine/nodes.js'
import { NodeType } from '../schema/node.js'
import type { RequestContext } from './request-context.js'

@Resolver()
export class NodeResolver {
  @Query(() => NodeType, { nullable: true, description: 'The object with this id.' })
  async node(
    @Ctx() { queries }: RequestContext,
    @Arg('id', () => ID, { description: 'Id of an app, a stage or a deployment.' }) id: string,
  ) {
    return (await readNodes(queries.database, [id]))[0] ?? null
  }

  @Query(() => [NodeType], {
    nullable: 'items',
    description: 'The objects with these ids, in the same order, at most 100. Null for unknown ids.',
  })
  nodes(
    @Ctx() { queries }: RequestContext,
    @Arg('ids', () => [ID], { description: 'Ids of apps, stages and deployments.' }) ids: string[],
  ) {
    return readNodes(queries.database, ids)
  }
}
