import { Field, ObjectType } from 'type-graphql'
import { Forge } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('CommitStatusTarget', {
  description: 'Where the forge is told how commits are deployed. The token never leaves the server.',
})
export class CommitStatusTargetType {
  @Field(() => Forge)
  forge!: Forge

  @Field(() => String)
  apiUrl!: string

  @Field(() => String, { description: 'owner/name' })
  repository!: string

  @Field(() => String, { description: 'Tells whether two tokens are equal without telling either.' })
  fingerprint!: string

  @Field(() => DateTime)
  updatedAt!: Date
}
