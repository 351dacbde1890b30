import { Field, ID, Int, ObjectType } from 'type-graphql'
import { DateTime } from './scalars.js'

@ObjectType('BuildArg')
export class BuildArgType {
  @Field(() => String)
  key!: string

  @Field(() => String)
  value!: string
}

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

  @Field(() => String, {
    nullable: true,
    description: 'The stage of the Dockerfile that is built (FROM … AS name). Null: the last one.',
  })
  target!: string | null

  @Field(() => String, { nullable: true, description: "As linux/amd64. Null: the Docker engine's own." })
  platform!: string | null

  @Field(() => Int, {
    nullable: true,
    description: 'Where its container listens. Null: the one port that the image exposes, else 80.',
  })
  port!: number | null

  @Field(() => [String], {
    description:
      'Globs such as apps/web/**; !docs/** takes back, the last match decides. A push that changes nothing below them deploys nothing. Empty: every push counts.',
  })
  watchPaths!: string[]

  @Field(() => DateTime)
  createdAt!: Date

  @Field(() => DateTime)
  updatedAt!: Date
}
