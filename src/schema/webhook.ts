import { Field, ID, ObjectType } from 'type-graphql'
import { connectionOf } from './connection.js'
import { Forge, WebhookVerdict } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('WebhookDecision', { description: 'What a push meant for one stage.' })
export class WebhookDecisionType {
  @Field(() => String, { description: 'refs/heads/{branch} or refs/tags/{tag}' })
  ref!: string

  @Field(() => String, { description: 'Name of the stage.' })
  stage!: string

  @Field(() => String, { description: 'Why it deploys or does not.' })
  reason!: string
}

@ObjectType('WebhookDelivery', { description: 'A request to a webhook, kept for seven days.' })
export class WebhookDeliveryType {
  @Field(() => ID, { description: 'Lower-case letters and digits, made by the server.' })
  id!: string

  @Field(() => Forge, { description: 'Who sent it, by its headers.' })
  forge!: Forge

  @Field(() => String, { description: 'As the forge names it; empty for the generic form.' })
  event!: string

  @Field(() => DateTime, { description: 'When it arrived.' })
  receivedAt!: Date

  @Field(() => WebhookVerdict, { description: 'What came of it.' })
  verdict!: WebhookVerdict

  @Field(() => String, { description: 'Why, in words.' })
  reason!: string

  @Field(() => String, {
    description: 'The ref that was pushed; of several the first. Null: none.',
    nullable: true,
  })
  ref!: string | null

  @Field(() => String, { description: 'The commit that was pushed. Null: none.', nullable: true })
  commitSha!: string | null

  @Field(() => [WebhookDecisionType], { description: 'One for each ref that was pushed and each stage.' })
  decisions!: WebhookDecisionType[]

  @Field(() => ID, { nullable: true, description: 'The delivery of which this is another decision.' })
  redeliveryOf!: string | null
}

@ObjectType('Webhook', { description: 'Where a forge says that something was pushed.' })
export class WebhookType {
  @Field(() => Boolean, { description: 'Whether it has a secret: rotateWebhookSecret makes one.' })
  enabled!: boolean

  @Field(() => DateTime, { nullable: true, description: 'When its secret was made.' })
  rotatedAt!: Date | null
}

@ObjectType('WebhookSecret', { description: 'Shown once: it cannot be read again.' })
export class WebhookSecretType {
  @Field(() => String, { description: 'The address to enter at the forge.' })
  url!: string

  @Field(() => String, { description: 'The secret to enter at the forge.' })
  secret!: string
}

export const WebhookDeliveryConnectionType = connectionOf('WebhookDelivery', WebhookDeliveryType)
