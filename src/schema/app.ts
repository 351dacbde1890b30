import { Field, ID, Int, ObjectType } from 'type-graphql'
import { DateTime } from './scalars.js'

@ObjectType('App')
export class AppType {
  @Field(() => ID)
  id!: string

  @Field(() => String, {
    description:
      'A DNS label: a-z, 0-9 and inner single hyphens, 1 to 32 characters, begins with a letter. Unique.',
  })
  name!: string

  @Field(() => String)
  repoUrl!: string

  @Field(() => String, { nullable: true, description: "Null: the remote's default branch." })
  branch!: string | null

  @Field(() => String)
  dockerfilePath!: string

  @Field(() => String)
  contextPath!: string

  @Field(() => Int, {
    nullable: true,
    description: 'Where its container listens. Null: the one port that the image exposes, else 80.',
  })
  port!: number | null

  @Field(() => DateTime)
  createdAt!: Date

  @Field(() => DateTime)
  updatedAt!: Date
}
