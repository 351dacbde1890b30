import { Field, Float, ID, Int, ObjectType } from 'type-graphql'
import { rowCost, TEXT_COST } from './costs.js'
import { DeploymentStatus, LogSource } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('LogEnd')
export class LogEndType {
  @Field(() => DeploymentStatus)
  status!: DeploymentStatus

  @Field(() => Int)
  lastSeq!: number

  @Field(() => Float)
  bytes!: number

  @Field(() => Float)
  omittedBytes!: number

  @Field(() => Boolean, {
    description:
      'The Docker engine that built left lines out, which nobody can count; the text says so where it happened.',
  })
  clipped!: boolean
}

@ObjectType('LogEvent')
export class LogEventType {
  @Field(() => Int, { description: '1, 2, 3, … per deployment, without gaps.' })
  seq!: number

  @Field(() => DateTime)
  at!: Date

  @Field(() => DeploymentStatus)
  phase!: DeploymentStatus

  @Field(() => LogSource)
  stream!: LogSource

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

@ObjectType('LogPage')
export class LogPageType {
  @Field(() => [LogEventType], { complexity: rowCost })
  events!: LogEventType[]

  @Field(() => LogEndType, {
    nullable: true,
    description: 'Set when the log is complete; further pages may follow up to its lastSeq.',
  })
  end!: LogEndType | null
}

@ObjectType('RuntimeLogEvent')
export class RuntimeLogEventType {
  @Field(() => ID)
  deploymentId!: string

  @Field(() => DateTime, { description: 'When the Docker engine got the first of its lines.' })
  at!: Date

  @Field(() => LogSource)
  stream!: LogSource

  @Field(() => String, {
    complexity: TEXT_COST,
    description:
      'One or more whole lines, each ended by a newline; at most 32 KiB. Cleaned and masked as a deployment’s log.',
  })
  text!: string
}
