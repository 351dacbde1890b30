import { type ClassType, Field, Int, ObjectType } from 'type-graphql'
import { AppType } from './app.js'
import { PAID, rowCost } from './costs.js'
import { DeploymentType } from './deployment.js'

@ObjectType('PageInfo')
export class PageInfoType {
  @Field(() => String, { nullable: true })
  endCursor!: string | null

  @Field(() => Boolean)
  hasNextPage!: boolean
}

/** Declares `{name}Edge` and `{name}Connection`. */
export function connectionOf(name: string, nodeType: ClassType) {
  @ObjectType(`${name}Edge`)
  class Edge {
    @Field(() => String)
    cursor!: string

    @Field(() => nodeType)
    node!: object
  }

  @ObjectType(`${name}Connection`)
  class Connection {
    @Field(() => [Edge], { complexity: rowCost })
    edges!: Edge[]

    @Field(() => [nodeType], { complexity: rowCost })
    nodes!: object[]

    @Field(() => PageInfoType, { complexity: PAID })
    pageInfo!: PageInfoType

    @Field(() => Int, { complexity: PAID })
    totalCount!: number
  }
  return Connection
}

export const AppConnectionType = connectionOf('App', AppType)
export const DeploymentConnectionType = connectionOf('Deployment', DeploymentType)
