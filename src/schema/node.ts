import { Field, ID, InterfaceType } from 'type-graphql'
import { App } from '../entities/app.js'
import { Deployment } from '../entities/deployment.js'
import { Stage } from '../entities/stage.js'

@InterfaceType('Node', {
  description:
    "Whatever has an id of its own: a client's cache can be kept by __typename and id, and a screen refetched by id.",
  resolveType: (value: unknown) => {
    if (value instanceof App) return 'App'
    if (value instanceof Stage) return 'Stage'
    return value instanceof Deployment ? 'Deployment' : undefined
  },
})
export abstract class NodeType {
  @Field(() => ID, { description: 'Unique over all types.' })
  id!: string
}
