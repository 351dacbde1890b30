import { type ClassType, Field, Int, ObjectType } from 'type-graphql'
import { AppType } from './app.js'
import { PAID, rowCost } from './costs.js'
import { DeploymentType } from './deployment.js'

@ObjectType('PageInfo', { description: 'Position of a page in its list.' })
export class PageInfoType {
  @Field(() => String, { nullable: true, description: 'Cursor of the first item. Null: the page is empty.' })
  startCursor!: string | null

  @Field(() => String, {
    description: 'Cursor of the last item, for `after`. Null: the page is empty.',
    nullable: true,
  })
  endCursor!: string | null

  @Field(() => Boolean, { description: 'Whether more items follow endCursor.' })
  hasNextPage!: boolean

  @Field(() => Boolean, { description: 'Whether the page was requested with `after`.' })
  hasPreviousPage!: boolean
}

/** Declares `{name}Edge` and `{name}Connection`. */
export function connectionOf(name: string, nodeType: ClassType) {
  @ObjectType(`${name}Edge`, { description: 'An item and its position in the list.' })
  class Edge {
    @Field(() => String, { description: 'Position of the item in the list, for `after`.' })
    cursor!: string

    @Field(() => nodeType, { description: 'The item.' })
    node!: object
  }

  @ObjectType(`${name}Connection`, { description: 'A page of a list.' })
  class Connection {
    @Field(() => [Edge], { description: 'The items of the page, with their cursors.', complexity: rowCost })
    edges!: Edge[]

    @Field(() => [nodeType], { description: 'The items of the page.', complexity: rowCost })
    nodes!: object[]

    @Field(() => PageInfoType, { description: 'Where the page ends.', complexity: PAID })
    pageInfo!: PageInfoType

    @Field(() => Int, { description: 'Total number of items on all pages.', complexity: PAID })
    totalCount!: number
  }
  return Connection
}

export const AppConnectionType = connectionOf('App', AppType)
export const DeploymentConnectionType = connectionOf('Deployment', DeploymentType)
