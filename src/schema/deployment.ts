import { Field, ID, Int, ObjectType } from 'type-graphql'
import { DeploymentStatus, DeploymentTrigger } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('Deployment')
export class DeploymentType {
  @Field(() => ID, {
    description: 'Lower-case letters and digits, at most 12: fits a DNS label and a container name.',
  })
  id!: string

  @Field(() => DeploymentStatus)
  status!: DeploymentStatus

  @Field(() => DeploymentTrigger)
  trigger!: DeploymentTrigger

  @Field(() => String, { nullable: true, description: "What was asked for; null: the stage's branch." })
  ref!: string | null

  @Field(() => String, { nullable: true })
  commitSha!: string | null

  @Field(() => String, { nullable: true })
  commitMessage!: string | null

  @Field(() => String, { nullable: true, description: 'mvp-{app}:{id}' })
  image!: string | null

  @Field(() => String, { nullable: true, description: '{app}-{id}' })
  container!: string | null

  @Field(() => Int, { nullable: true })
  port!: number | null

  @Field(() => Int)
  attempt!: number

  @Field(() => DateTime)
  createdAt!: Date

  @Field(() => DateTime, { nullable: true })
  startedAt!: Date | null

  @Field(() => DateTime, { nullable: true, description: 'When it last reached RUNNING.' })
  liveAt!: Date | null

  @Field(() => DateTime, { nullable: true })
  finishedAt!: Date | null
}

@ObjectType('DeploymentError')
export class DeploymentErrorType {
  @Field(() => String, {
    description:
      'Stable, upper snake case: CLONE_FAILED, DOCKERFILE_NOT_FOUND, BUILD_FAILED, BUILD_TIMEOUT, UNHEALTHY, EXITED, OUT_OF_MEMORY, …',
  })
  code!: string

  @Field(() => DeploymentStatus, { description: 'In which status it failed.' })
  phase!: DeploymentStatus

  @Field(() => String, { description: 'What was tried, on what, and what to do next.' })
  message!: string

  @Field(() => Int, { nullable: true })
  exitCode!: number | null

  @Field(() => [String], {
    description: 'The last lines of the failing command or container, secrets masked.',
  })
  lastLines!: string[]
}

@ObjectType('DeploymentEvent')
export class DeploymentEventType {
  @Field(() => DateTime)
  at!: Date

  @Field(() => DeploymentStatus, { nullable: true })
  from!: DeploymentStatus | null

  @Field(() => DeploymentStatus)
  to!: DeploymentStatus

  @Field(() => String, { nullable: true })
  reason!: string | null
}
