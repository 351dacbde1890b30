import { Field, Float, ID, Int, ObjectType } from 'type-graphql'
import { NodeType } from './node.js'
import { DateTime } from './scalars.js'

@ObjectType('Stage', {
  implements: NodeType,
  description:
    'A place where an app runs, such as production or staging, with its own host, variables and limits.',
})
export class StageType implements NodeType {
  @Field(() => ID, { description: 'Lower-case letters and digits, made by the server.' })
  id!: string

  @Field(() => String, { description: 'A DNS label, unique within the app.' })
  name!: string

  @Field(() => String, { description: "The branch that it follows. Null: the app's.", nullable: true })
  branch!: string | null

  @Field(() => String, {
    nullable: true,
    description: 'A glob such as v*: pushed tags that match are deployed, and pushed branches are not.',
  })
  tags!: string | null

  @Field(() => Int, { description: 'How many containers serve.' })
  replicas!: number

  @Field(() => Boolean, { description: 'Whether pushes are deployed by the webhook.' })
  autoDeploy!: boolean

  @Field(() => Boolean, {
    description: 'Whether it was stopped: nothing runs until startStage or a deployment.',
  })
  stopped!: boolean
}

@ObjectType('Domain', { description: 'A host name under which a stage answers beside its own.' })
export class DomainType {
  @Field(() => String, { description: 'A host name without scheme and port.' })
  host!: string

  @Field(() => DateTime, { description: 'When it was added.' })
  createdAt!: Date
}

@ObjectType('Variable', {
  description: 'Values never leave the server: a fingerprint tells whether two are equal.',
})
export class VariableType {
  @Field(() => String, { description: 'The name of the environment variable.' })
  key!: string

  @Field(() => String, { description: 'Equal for equal values.' })
  fingerprint!: string

  @Field(() => Boolean, { description: 'For builds alone: the container does not get it.' })
  buildSecret!: boolean

  @Field(() => DateTime, { description: 'When its value last changed.' })
  updatedAt!: Date
}

@ObjectType('Limits', { description: 'What each container of a stage may use.' })
export class LimitsType {
  @Field(() => Float, {
    description: 'Memory, in bytes. A container that needs more is killed (OUT_OF_MEMORY).',
  })
  memoryBytes!: number

  @Field(() => Float, { description: 'Processors; fractions are allowed.' })
  cpus!: number

  @Field(() => Int, { description: 'Processes and threads.' })
  pids!: number
}

@ObjectType('HealthCheck', { description: 'How a new version is checked before traffic moves to it.' })
export class HealthCheckType {
  @Field(() => String, {
    nullable: true,
    description: "Null: the image's HEALTHCHECK if it has one, else TCP.",
  })
  path!: string | null

  @Field(() => Int, { description: 'Seconds between two checks.' })
  intervalSeconds!: number

  @Field(() => Int, { description: 'Seconds that one check may take.' })
  timeoutSeconds!: number

  @Field(() => Int, { description: 'Seconds until a version that does not become healthy has failed.' })
  deadlineSeconds!: number

  @Field(() => Int, {
    nullable: true,
    description:
      'How long it must stay healthy before traffic moves. Null: 3 when it replaces a serving version, 0 when nothing serves yet.',
  })
  stableSeconds!: number | null
}

@ObjectType('VariablesPreview', { description: 'What an import of variables would change, by key.' })
export class VariablesPreviewType {
  @Field(() => [String], { description: 'Those that are new.' })
  added!: string[]

  @Field(() => [String], { description: 'Those that get another value.' })
  changed!: string[]

  @Field(() => [String], { description: 'Those that have the value already.' })
  unchanged!: string[]

  @Field(() => [String], { description: 'Those that would go, with `replace`.' })
  removed!: string[]
}
