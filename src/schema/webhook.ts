import { Field, ID, ObjectType } from 'type-graphql'
import { connectionOf } from './connection.js'
import { Forge, WebhookVerdict } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('WebhookDecision', { description: 'What a push meant for one stage.' })
export class WebhookDecisionType {
  @Field(() => String, { description: 'refs/heads/{branch} or refs/tags/{tag}' })
  ref!: string

  @Field(() => String)
  stage!: string

  @Field(() => String)
  reason!: string
}

@ObjectType('WebhookDelivery', { description: 'A request to a webhook, kept for seven days.' })
export class WebhookDeliveryType {
  @Field(() => ID)
  id!: string

  @Field(() => Forge)
  forge!: Forge

  @Field(() => String, { description: 'As the forge names it; empty for the generic form.' })
  event!: string

  @Field(() => DateTime)
  receivedAt!: Date

  @Field(() => WebhookVerdict)
  verdict!: WebhookVerdict

  @Field(() => String)
  reason!: string

  @Field(() => String, { nullable: true })
  ref!: string | null

  @Field(() => String, { nullable: true })
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
  @Field(() => String)
  url!: string

  @Field(() => String)
  secret!: string
}

export const WebhookDeliveryConnectionType = connectionOf('WebhookDelivery', WebhookDeliveryType)
