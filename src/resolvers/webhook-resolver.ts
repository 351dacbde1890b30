import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Resolver, Root } from 'type-graphql'
import type { App } from '../entities/app.js'
import type { WebhookDelivery } from '../entities/webhook-delivery.js'
import { AppType } from '../schema/app.js'
import { Forge } from '../schema/enums.js'
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
      "Creates or replaces the secret of the app's webhook. Deliveries signed with the old one are refused from now on.",
  })
  async rotateWebhookSecret(
    @Ctx() { commands, address }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
  ): Promise<WebhookSecretType> {
    const secret = await commands.webhooks.rotate(appId)
    return { url: webhookUrl(address, appId), secret }
  }

  @Mutation(() => AppType, {
    description:
      "Creates the app's webhook at its forge with the app's repository token, or updates the one with the same URL; a worker does it within 30 s. FORGE_ERROR: the reason why the forge has not.",
  })
  installWebhook(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
    @Arg('forge', () => Forge, { description: 'GITHUB, GITLAB or GITEA (also Forgejo).' }) forge: Forge,
    @Arg('apiUrl', () => String, {
      nullable: true,
      description: "The forge's API, on the host of repoUrl. Default: the usual one there.",
    })
    apiUrl: string | null,
    @Arg('repository', () => String, { nullable: true, description: 'owner/name. Default: that of repoUrl.' })
    repository: string | null,
  ) {
    return commands.forgeWebhooks.install(appId, { forge, apiUrl, repository })
  }

  @Mutation(() => WebhookDeliveryType, {
    description:
      "Evaluates a delivery again, against the current stages. Works for an app's newest 100 processed deliveries.",
  })
  redeliver(
    @Ctx() { commands }: RequestContext,
    @Arg('deliveryId', () => ID, { description: 'Id of the delivery.' }) deliveryId: string,
  ) {
    return commands.webhooks.redeliver(deliveryId)
  }

  @FieldResolver(() => String, { description: 'Its URL: PUBLIC_URL/hooks/{appId}.' })
  url(@Root() { appId }: ShownWebhook, @Ctx() { address }: RequestContext) {
    return webhookUrl(address, appId)
  }

  @FieldResolver(() => WebhookDeliveryConnectionType, {
    description: 'Its deliveries, newest first.',
    complexity: pageCost,
  })
  async deliveries(
    @Root() { appId }: ShownWebhook,
    @Ctx() { queries }: RequestContext,
    @Arg('first', () => Int, { defaultValue: 20, description: 'Items per page: 1 to 200.' }) first: number,
    @Arg('after', () => String, { nullable: true, description: 'Cursor after which the page starts.' })
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
    description: 'The deployments it created, except deleted ones.',
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
