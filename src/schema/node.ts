import { Field, ID, InterfaceType } from 'type-graphql'
import { App } from '../entities/app.js'
import { Deployment } from '../entities/deployment.js'
import { Stage } from '../entities/stage.js'

@InterfaceType('Node', {
  description: 'An object with a global id: clients can cache by __typename and id, and refetch by id.',
  resolveType: (value: unknown) => {
    if (value instanceof App) return 'App'
    if (value instanceof Stage) return 'Stage'
    return value instanceof Deployment ? 'Deployment' : undefined
  },
})
export abstract class NodeType {
  @Field(() => ID, { description: 'Unique across all types.' })
  id!: string
}
