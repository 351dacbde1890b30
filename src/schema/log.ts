import { Field, Float, ID, Int, ObjectType } from 'type-graphql'
import { rowCost, TEXT_COST } from './costs.js'
import { DeploymentStatus, LogStream } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('LogEnd', { description: 'How a log ended.' })
export class LogEndType {
  @Field(() => DeploymentStatus, { description: 'The status with which the log ended.' })
  status!: DeploymentStatus

  @Field(() => Int, { description: 'The `seq` of its last event.' })
  lastSeq!: number

  @Field(() => Float, { description: 'UTF-8 bytes that are stored.' })
  bytes!: number

  @Field(() => Float, {
    description: 'UTF-8 bytes that are not stored, since the log is longer than 10 MiB.',
  })
  omittedBytes!: number

  @Field(() => Boolean, {
    description:
      'The Docker engine that built left lines out, which nobody can count; the text says so where it happened.',
  })
  clipped!: boolean
}

@ObjectType('LogEvent', { description: 'A piece of the log of a deployment.' })
export class LogEventType {
  @Field(() => Int, { description: '1, 2, 3, … per deployment, without gaps.' })
  seq!: number

  @Field(() => DateTime, { description: 'When its first line was written.' })
  at!: Date

  @Field(() => DeploymentStatus, { description: 'The status of the deployment at that time.' })
  phase!: DeploymentStatus

  @Field(() => LogStream, { description: 'Who wrote it.' })
  stream!: LogStream

  @Field(() => String, {
    complexity: TEXT_COST,
    description:
      'One or more whole lines, each ended by a newline; at most 32 KiB. ANSI colours kept, all other control sequences removed.',
  })
  text!: string

  @Field(() => LogEndType, {
    nullable: true,
    description:
      'On the last event of the log only. A subscriber who has it all already gets it with an empty text.',
  })
  end!: LogEndType | null
}

@ObjectType('LogPage', { description: 'Stored pieces of a log.' })
export class LogPageType {
  @Field(() => [LogEventType], { description: 'Events after `after`, oldest first.', complexity: rowCost })
  events!: LogEventType[]

  @Field(() => LogEndType, {
    nullable: true,
    description: 'Set when the log is complete; further pages may follow up to its lastSeq.',
  })
  end!: LogEndType | null
}

@ObjectType('RuntimeLogEvent', { description: 'A piece of what the containers of a stage write.' })
export class RuntimeLogEventType {
  @Field(() => ID, { description: 'The deployment whose container wrote it.' })
  deploymentId!: string

  @Field(() => DateTime, { description: 'When the Docker engine got the first of its lines.' })
  at!: Date

  @Field(() => LogStream, { description: 'Who wrote it; SYSTEM says where lines may be missing.' })
  stream!: LogStream

  @Field(() => String, {
    complexity: TEXT_COST,
    description:
      'One or more whole lines, each ended by a newline; at most 32 KiB. Cleaned and masked as a deployment’s log.',
  })
  text!: string
}
