import { Field, ObjectType } from 'type-graphql'
import { Forge } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('CommitStatusTarget', {
  description: 'Where commit statuses are reported. The token never leaves the server.',
})
export class CommitStatusTargetType {
  @Field(() => Forge, { description: 'The kind of forge.' })
  forge!: Forge

  @Field(() => String, { description: 'Base URL of its API.' })
  apiUrl!: string

  @Field(() => String, { description: 'owner/name' })
  repository!: string

  @Field(() => String, { description: 'Equal for equal tokens; reveals neither.' })
  fingerprint!: string

  @Field(() => DateTime, { description: 'When it was set.' })
  updatedAt!: Date
}
