import { Field, ObjectType, registerEnumType } from 'type-graphql'
import { DeploymentType } from './deployment.js'

export enum ChangeKind {
  ADDED = 'ADDED',
  REMOVED = 'REMOVED',
  CHANGED = 'CHANGED',
}
registerEnumType(ChangeKind, { name: 'ChangeKind' })

@ObjectType('FieldChange')
export class FieldChangeType {
  @Field(() => String, { description: 'As the inputs name it: `limits.cpus`, `healthCheck.path`, `ref`.' })
  field!: string

  @Field(() => String, { nullable: true })
  from!: string | null

  @Field(() => String, { nullable: true })
  to!: string | null
}

@ObjectType('VariableChange', { description: 'Fingerprints, never values. Null: it had no such variable.' })
export class VariableChangeType {
  @Field(() => String)
  key!: string

  @Field(() => ChangeKind)
  change!: ChangeKind

  @Field(() => String, { nullable: true })
  from!: string | null

  @Field(() => String, { nullable: true })
  to!: string | null
}

@ObjectType('ConfigurationDiff', { description: 'What differs; what is the same is not listed.' })
export class ConfigurationDiffType {
  @Field(() => DeploymentType)
  from!: DeploymentType

  @Field(() => DeploymentType)
  to!: DeploymentType

  @Field(() => [FieldChangeType])
  fields!: FieldChangeType[]

  @Field(() => [VariableChangeType])
  variables!: VariableChangeType[]
}
