import { Field, ID, Int, ObjectType } from 'type-graphql'
import type { DeploymentErrorCode } from '../entities/deployment-error-code.js'
import { DeploymentErrorCodeEnum, DeploymentStatus, DeploymentTrigger } from './enums.js'
import { NodeType } from './node.js'
import { DateTime } from './scalars.js'

@ObjectType('Deployment', {
  implements: NodeType,
  description: 'One attempt to run a commit in a stage, from the clone to the traffic, and its outcome.',
})
export class DeploymentType implements NodeType {
  @Field(() => ID, {
    description: 'At most 12 lowercase letters and digits: fits a DNS label and a container name.',
  })
  id!: string

  @Field(() => DeploymentStatus, { description: 'Its current state.' })
  status!: DeploymentStatus

  @Field(() => DeploymentTrigger, { description: 'What requested it.' })
  trigger!: DeploymentTrigger

  @Field(() => String, {
    nullable: true,
    description:
      'Who requested it: "admin", or the forge that sent the push. Null: nobody, as when a lost image is built again.',
  })
  actor!: string | null

  @Field(() => String, { nullable: true, description: "The requested ref. Null: the stage's branch." })
  ref!: string | null

  @Field(() => String, {
    description: 'The deployed commit. Null until the clone resolves it.',
    nullable: true,
  })
  commitSha!: string | null

  @Field(() => String, {
    description: "The first line of the commit's message. Null until the clone resolves it.",
    nullable: true,
  })
  commitMessage!: string | null

  @Field(() => String, { nullable: true, description: 'mvp-{app}:{id}' })
  image!: string | null

  @Field(() => String, { nullable: true, description: '{app}-{id}' })
  container!: string | null

  @Field(() => Int, {
    description: 'The port its containers listen on. Null until they start.',
    nullable: true,
  })
  port!: number | null

  @Field(() => [String], {
    description: 'What is odd but runs, one sentence each, as its log says it.',
  })
  warnings!: string[]

  @Field(() => Int, {
    description: '1 for the first attempt; higher after a worker died or the infrastructure failed.',
  })
  attempt!: number

  @Field(() => DateTime, { description: 'When it was requested.' })
  createdAt!: Date

  @Field(() => DateTime, { description: 'When a worker first claimed it.', nullable: true })
  startedAt!: Date | null

  @Field(() => DateTime, { nullable: true, description: 'When it last reached RUNNING.' })
  liveAt!: Date | null

  @Field(() => DateTime, {
    description: 'When it reached a status that it does not leave on its own.',
    nullable: true,
  })
  finishedAt!: Date | null
}

@ObjectType('DeploymentError', { description: 'Why a deployment failed.' })
export class DeploymentErrorType {
  @Field(() => DeploymentErrorCodeEnum, { description: 'The reason, for programs.' })
  code!: DeploymentErrorCode

  @Field(() => DeploymentStatus, { description: 'The status in which it failed.' })
  phase!: DeploymentStatus

  @Field(() => String, { description: 'What was tried, on what, and what to do next.' })
  message!: string

  @Field(() => Int, {
    description: 'Exit code of the failed command or container. Null: none.',
    nullable: true,
  })
  exitCode!: number | null

  @Field(() => [String], {
    description: 'The last lines of the failed command or container, with secrets masked.',
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

  @Field(() => String, {
    description: 'The reason, as text. Null if the status says it all.',
    nullable: true,
  })
  reason!: string | null
}
