import { Field, ID, Int, ObjectType } from 'type-graphql'
import type { DeploymentErrorCode } from '../entities/deployment-error-code.js'
import { DeploymentErrorCodeEnum, DeploymentStatus, DeploymentTrigger } from './enums.js'
import { NodeType } from './node.js'
import { DateTime } from './scalars.js'

@ObjectType('Deployment', {
  implements: NodeType,
  description:
    'One attempt to run a commit in a stage, from the clone to the traffic, and what became of it.',
})
export class DeploymentType implements NodeType {
  @Field(() => ID, {
    description: 'Lower-case letters and digits, at most 12: fits a DNS label and a container name.',
  })
  id!: string

  @Field(() => DeploymentStatus, { description: 'Where it stands.' })
  status!: DeploymentStatus

  @Field(() => DeploymentTrigger, { description: 'What asked for it.' })
  trigger!: DeploymentTrigger

  @Field(() => String, {
    nullable: true,
    description:
      'Who asked for it: "admin", or the forge whose push it was. Null: nobody, as when an image that was lost is built again.',
  })
  actor!: string | null

  @Field(() => String, { nullable: true, description: "What was asked for; null: the stage's branch." })
  ref!: string | null

  @Field(() => String, {
    description: 'The commit that is deployed. Null until the clone has found it.',
    nullable: true,
  })
  commitSha!: string | null

  @Field(() => String, {
    description: 'The first line of its message. Null until the clone has found it.',
    nullable: true,
  })
  commitMessage!: string | null

  @Field(() => String, { nullable: true, description: 'mvp-{app}:{id}' })
  image!: string | null

  @Field(() => String, { nullable: true, description: '{app}-{id}' })
  container!: string | null

  @Field(() => Int, {
    description: 'The port that its containers listen on. Null until they start.',
    nullable: true,
  })
  port!: number | null

  @Field(() => Int, {
    description: '1 for the first attempt; more when a worker died or the infrastructure failed.',
  })
  attempt!: number

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt!: Date

  @Field(() => DateTime, { description: 'When a worker first took it up.', nullable: true })
  startedAt!: Date | null

  @Field(() => DateTime, { nullable: true, description: 'When it last reached RUNNING.' })
  liveAt!: Date | null

  @Field(() => DateTime, {
    description: 'When it reached a status from which it does not move on by itself.',
    nullable: true,
  })
  finishedAt!: Date | null
}

@ObjectType('DeploymentError', { description: 'Why a deployment failed.' })
export class DeploymentErrorType {
  @Field(() => DeploymentErrorCodeEnum, { description: 'Why, for a program.' })
  code!: DeploymentErrorCode

  @Field(() => DeploymentStatus, { description: 'In which status it failed.' })
  phase!: DeploymentStatus

  @Field(() => String, { description: 'What was tried, on what, and what to do next.' })
  message!: string

  @Field(() => Int, {
    description: 'Exit code of the command or container that failed. Null: it has none.',
    nullable: true,
  })
  exitCode!: number | null

  @Field(() => [String], {
    description: 'The last lines of the failing command or container, secrets masked.',
  })
  lastLines!: string[]
}

@ObjectType('DeploymentEvent', { description: 'A change of status.' })
export class DeploymentEventType {
  @Field(() => DateTime, { description: 'When the status changed.' })
  at!: Date

  @Field(() => DeploymentStatus, {
    description: 'The status before. Null for the first event.',
    nullable: true,
  })
  from!: DeploymentStatus | null

  @Field(() => DeploymentStatus, { description: 'The status after.' })
  to!: DeploymentStatus

  @Field(() => String, { description: 'Why, in words. Null where the status says it all.', nullable: true })
  reason!: string | null
}
