import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Resolver, Root } from 'type-graphql'
import type { App } from '../entities/app.js'
import type { WebhookDelivery } from '../entities/webhook-delivery.js'
import { AppType } from '../schema/app.js'
import { DeploymentType } from '../schema/deployment.js'
import {
  WebhookDeliveryConnectionType,
  WebhookDeliveryType,
  WebhookSecretType,
  WebhookType,
} from '../schema/webhook.js'
import { toConnection } from './connection.js'
import { pageCost } from './query-cost.js'
import type { PublicAddress, RequestContext } from './request-context.js'

/** A webhook as it is shown: its secret is not. */
interface ShownWebhook extends WebhookType {
  readonly appId: string
}

@Resolver(() => WebhookType)
export class WebhookResolver {
  @Mutation(() => WebhookSecretType, {
    description:
      'Makes the secret of the app’s webhook, or a new one: deliveries under the one before are refused from now on.',
  })
  async rotateWebhookSecret(
    @Ctx() { commands, address }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
  ): Promise<WebhookSecretType> {
    const secret = await commands.webhooks.rotate(appId)
    return { url: webhookUrl(address, appId), secret }
  }

  @Mutation(() => WebhookDeliveryType, {
    description:
      'Decides once more about a delivery, as the stages are now. Works for the newest 100 of an app that were looked at.',
  })
  redeliver(
    @Ctx() { commands }: RequestContext,
    @Arg('deliveryId', () => ID, { description: 'Id of the delivery.' }) deliveryId: string,
  ) {
    return commands.webhooks.redeliver(deliveryId)
  }

  @FieldResolver(() => String, { description: 'PUBLIC_URL and /hooks/{appId}' })
  url(@Root() { appId }: ShownWebhook, @Ctx() { address }: RequestContext) {
    return webhookUrl(address, appId)
  }

  @FieldResolver(() => WebhookDeliveryConnectionType, { description: 'Newest first.', complexity: pageCost })
  async deliveries(
    @Root() { appId }: ShownWebhook,
    @Ctx() { queries }: RequestContext,
    @Arg('first', () => Int, { defaultValue: 20, description: 'Items per page: 1 to 200.' }) first: number,
    @Arg('after', () => String, { nullable: true, description: 'Cursor of the last item that is known.' })
    after: string | null,
  ) {
    return toConnection(await queries.webhookDeliveries(appId, first, after ?? null))
  }
}

@Resolver(() => AppType)
export class AppWebhookResolver {
  @FieldResolver(() => WebhookType, { description: 'Its webhook, which deploys pushes.' })
  async webhook(@Root() { id }: App, @Ctx() { loaders }: RequestContext): Promise<ShownWebhook> {
    const [webhook] = await loaders.webhookOfApp.load(id)
    return { appId: id, enabled: webhook !== undefined, rotatedAt: webhook?.rotatedAt ?? null }
  }
}

@Resolver(() => WebhookDeliveryType)
export class WebhookDeliveryResolver {
  @FieldResolver(() => [DeploymentType], {
    description: 'What it has deployed, as far as it is still there.',
  })
  async deployments(@Root() { decisions }: WebhookDelivery, @Ctx() { loaders }: RequestContext) {
    const ids = new Set(decisions.flatMap(({ deploymentId }) => deploymentId ?? []))
    const found = await Promise.all([...ids].map((id) => loaders.deployment.load(id)))
    return found.filter((deployment) => deployment !== null)
  }
}

function webhookUrl({ publicUrl }: PublicAddress, appId: string): string {
  return `${publicUrl}/hooks/${appId}`
}
