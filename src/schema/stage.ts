import { Field, Float, ID, Int, ObjectType } from 'type-graphql'
import { DateTime } from './scalars.js'

@ObjectType('Stage')
export class StageType {
  @Field(() => ID)
  id!: string

  @Field(() => String)
  name!: string

  @Field(() => String, { nullable: true })
  branch!: string | null

  @Field(() => String, {
    nullable: true,
    description: 'A glob such as v*: pushed tags that match are deployed, and pushed branches are not.',
  })
  tags!: string | null

  @Field(() => Int)
  replicas!: number

  @Field(() => Boolean)
  autoDeploy!: boolean

  @Field(() => Boolean)
  stopped!: boolean
}

@ObjectType('Domain')
export class DomainType {
  @Field(() => String)
  host!: string

  @Field(() => DateTime)
  createdAt!: Date
}

@ObjectType('Variable', {
  description: 'Values never leave the server: a fingerprint tells whether two are equal.',
})
export class VariableType {
  @Field(() => String)
  key!: string

  @Field(() => String)
  fingerprint!: string

  @Field(() => Boolean, { description: 'For builds alone: the container does not get it.' })
  buildSecret!: boolean

  @Field(() => DateTime)
  updatedAt!: Date
}

@ObjectType('Limits')
export class LimitsType {
  @Field(() => Float)
  memoryBytes!: number

  @Field(() => Float)
  cpus!: number

  @Field(() => Int)
  pids!: number
}

@ObjectType('HealthCheck')
export class HealthCheckType {
  @Field(() => String, {
    nullable: true,
    description: "Null: the image's HEALTHCHECK if it has one, else TCP.",
  })
  path!: string | null

  @Field(() => Int)
  intervalSeconds!: number

  @Field(() => Int)
  timeoutSeconds!: number

  @Field(() => Int)
  deadlineSeconds!: number

  @Field(() => Int, {
    nullable: true,
    description:
      'How long it must stay healthy before traffic moves. Null: 3 when it replaces a serving version, 0 when nothing serves yet.',
  })
  stableSeconds!: number | null
}
