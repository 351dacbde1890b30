import { Field, ObjectType, registerEnumType } from 'type-graphql'
import { DeploymentType } from './deployment.js'

export enum ChangeKind {
  ADDED = 'ADDED',
  REMOVED = 'REMOVED',
  CHANGED = 'CHANGED',
}
registerEnumType(ChangeKind, {
  name: 'ChangeKind',
  description: 'How a variable differs between two deployments.',
  valuesConfig: {
    ADDED: { description: 'Only the second deployment has it.' },
    REMOVED: { description: 'Only the first deployment has it.' },
    CHANGED: { description: 'Both have it, with different values.' },
  },
})

@ObjectType('FieldChange', { description: 'A setting that differs, as text.' })
export class FieldChangeType {
  @Field(() => String, { description: 'Its name in the inputs: `limits.cpus`, `healthCheck.path`, `ref`.' })
  field!: string

  @Field(() => String, { description: 'Its value in `from`. Null: none.', nullable: true })
  from!: string | null

  @Field(() => String, { description: 'Its value in `to`. Null: none.', nullable: true })
  to!: string | null
}

@ObjectType('VariableChange', {
  description: 'Fingerprints, never values. Null: the deployment has no such variable.',
})
export class VariableChangeType {
  @Field(() => String, { description: 'The name of the environment variable.' })
  key!: string

  @Field(() => ChangeKind, { description: 'What happened to it.' })
  change!: ChangeKind

  @Field(() => String, { description: 'Its fingerprint in `from`.', nullable: true })
  from!: string | null

  @Field(() => String, { description: 'Its fingerprint in `to`.', nullable: true })
  to!: string | null
}

@ObjectType('ConfigurationDiff', {
  description: 'The differences between two deployments; equal settings are omitted.',
})
export class ConfigurationDiffType {
  @Field(() => DeploymentType, { description: 'The first deployment.' })
  from!: DeploymentType

  @Field(() => DeploymentType, { description: 'The second deployment.' })
  to!: DeploymentType

  @Field(() => [FieldChangeType], { description: 'Settings that differ, and the ref.' })
  fields!: FieldChangeType[]

  @Field(() => [VariableChangeType], { description: 'Variables that differ.' })
  variables!: VariableChangeType[]
}
