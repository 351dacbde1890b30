import { Field, ID, ObjectType, registerEnumType } from 'type-graphql'
import { NodeType } from './node.js'
import { DateTime } from './scalars.js'

export const ChangeEvent = {
  CREATED: 'CREATED',
  UPDATED: 'UPDATED',
  DELETED: 'DELETED',
  RESET: 'RESET',
} as const
registerEnumType(ChangeEvent, {
  name: 'ChangeEvent',
  description: 'What a change is.',
  valuesConfig: {
    CREATED: { description: 'It is new.' },
    UPDATED: { description: 'It changed, or its variables or domains did.' },
    DELETED: { description: 'It is gone.' },
    RESET: { description: 'Changes may have been missed: refetch.' },
  },
})

@ObjectType('Change', { description: 'One change of an app, a stage or a deployment.' })
export class ChangeType {
  @Field(() => String, { description: 'Pass the last one seen as `after` to resume.' })
  cursor!: string

  @Field(() => DateTime, { description: 'When it changed.' })
  at!: Date

  @Field(() => ChangeEvent, { description: 'What the change is.' })
  event!: keyof typeof ChangeEvent

  @Field(() => ID, { nullable: true, description: 'Id of what changed. Null for RESET.' })
  id!: string | null

  @Field(() => String, { nullable: true, description: 'Its type: App, Stage or Deployment. Null for RESET.' })
  typename!: string | null

  @Field(() => NodeType, {
    nullable: true,
    description: 'As it is when the event is sent. Null when it is deleted, and for RESET.',
  })
  node!: object | null
}
