import { Field, ID, Int, ObjectType } from 'type-graphql'
import { NodeType } from './node.js'
import { DateTime } from './scalars.js'

@ObjectType('BuildArg', { description: 'A build argument: the value of an ARG of the Dockerfile.' })
export class BuildArgType {
  @Field(() => String, { description: 'The name of the ARG.' })
  key!: string

  @Field(() => String, { description: 'Its value. It stays in the history of the image: nothing secret.' })
  value!: string
}

@ObjectType('App', {
  implements: NodeType,
  description: 'An application: where its code is and how it is built. What runs is in its stages.',
})
export class AppType implements NodeType {
  @Field(() => ID, { description: 'Lower-case letters and digits, made by the server.' })
  id!: string

  @Field(() => String, {
    description:
      'A DNS label: a-z, 0-9 and inner single hyphens, 1 to 32 characters, begins with a letter. Unique.',
  })
  name!: string

  @Field(() => String, { description: 'The Git repository.' })
  repoUrl!: string

  @Field(() => String, { nullable: true, description: "Null: the remote's default branch." })
  branch!: string | null

  @Field(() => String, {
    description: 'Relative to contextPath. Without a Dockerfile the language is detected.',
  })
  dockerfilePath!: string

  @Field(() => String, { description: "The folder that is built, relative to the repository's root." })
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

  @Field(() => DateTime, { description: 'When it was created.' })
  createdAt!: Date

  @Field(() => DateTime, { description: 'When its settings last changed.' })
  updatedAt!: Date
}
