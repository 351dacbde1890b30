import { Field, Float, ID, Int, ObjectType } from 'type-graphql'
import { rowCost, TEXT_COST } from './costs.js'
import { DeploymentStatus, LogStream } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('LogEnd', { description: 'The end of a log.' })
export class LogEndType {
  @Field(() => DeploymentStatus, { description: 'The status in which the log ended.' })
  status!: DeploymentStatus

  @Field(() => Int, { description: 'The `seq` of its last event.' })
  lastSeq!: number

  @Field(() => Float, { description: 'Stored size in UTF-8 bytes.' })
  bytes!: number

  @Field(() => Float, {
    description: 'UTF-8 bytes not stored because the log exceeds 10 MiB.',
  })
  omittedBytes!: number

  @Field(() => Boolean, {
    description:
      'Whether the Docker engine dropped lines of the build. Their number is unknown; the text marks each place.',
  })
  clipped!: boolean
}

@ObjectType('LogEvent', { description: "A chunk of a deployment's log." })
export class LogEventType {
  @Field(() => Int, { description: '1, 2, 3, … per deployment, without gaps.' })
  seq!: number

  @Field(() => DateTime, { description: 'When its first line was written.' })
  at!: Date

  @Field(() => DeploymentStatus, { description: "The deployment's status at that time." })
  phase!: DeploymentStatus

  @Field(() => LogStream, { description: 'Where its lines come from.' })
  stream!: LogStream

  @Field(() => String, {
    complexity: TEXT_COST,
    description:
      'One or more whole lines, each ending in a newline; at most 32 KiB. ANSI colors are kept, other control sequences removed.',
  })
  text!: string

  @Field(() => LogEndType, {
    nullable: true,
    description:
      'Only on the last event of the log. A subscriber who already has all lines gets it with an empty text.',
  })
  end!: LogEndType | null
}

@ObjectType('LogPage', { description: 'A page of stored log chunks.' })
export class LogPageType {
  @Field(() => [LogEventType], { description: 'Events after `after`, oldest first.', complexity: rowCost })
  events!: LogEventType[]

  @Field(() => LogEndType, {
    nullable: true,
    description: 'Set once the log is complete; more pages may follow, up to its lastSeq.',
  })
  end!: LogEndType | null
}

@ObjectType('RuntimeLogEvent', { description: "A chunk of the output of a stage's containers." })
export class RuntimeLogEventType {
  @Field(() => ID, { description: 'The deployment whose container wrote it.' })
  deploymentId!: string

  @Field(() => DateTime, { description: 'When the Docker engine received its first line.' })
  at!: Date

  @Field(() => LogStream, {
    description: 'Where its lines come from. SYSTEM marks places where lines may be missing.',
  })
  stream!: LogStream

  @Field(() => String, {
    complexity: TEXT_COST,
    description:
      "One or more whole lines, each ending in a newline; at most 32 KiB. Cleaned and masked like a deployment's log.",
  })
  text!: string
}
