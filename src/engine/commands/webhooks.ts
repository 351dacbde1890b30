import { randomBytes } from 'node:crypto'
import { type EntityManager, IsNull } from 'typeorm'
import { App } from '../../entities/app.js'
import { WebhookDelivery, WebhookVerdict } from '../../entities/webhook-delivery.js'
import { Webhook } from '../../entities/webhook.js'
import { CommandError } from '../command-error.js'
import { createId } from '../names.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import { DecryptError, type SecretBox } from '../secrets/secrets.js'
import {
  findDuplicate,
  findWithBody,
  forgetOld,
  continuesHistory,
  loadOf,
  newDelivery,
  recordUnhandled,
  type Received,
  record,
} from '../webhooks/delivery-log.js'
import { LargeDeliveries, SMALL_DELIVERY_BYTES } from '../webhooks/large-deliveries.js'
import { aboutDelivery, openDelivery, type OpenedDelivery } from '../webhooks/open-delivery.js'
import { webhookSecretAad } from '../secrets/aad.js'
import { readEvent } from '../webhooks/payloads.js'
import type { Headers } from '../webhooks/signatures.js'
import { getApp } from './apps.js'
import { announceQueued } from '../queue/enqueue.js'
import type { CommandDependencies } from './dependencies.js'
import { requestLookup } from '../pushes/lookups.js'
import { announceStop } from '../traffic/stop-stage.js'
import { flooded, handleEvent, LIMITED, NONE, type Outcome } from './pushes.js'

/** What became of a request to a webhook. */
export type Receipt =
  /** There is no such webhook, or it was not made with its secret: nobody is told which. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'limited' }
  | { readonly kind: 'duplicate' | 'received'; readonly delivery: WebhookDelivery }

type Deployed = Pick<Outcome, 'queued' | 'stopped'>

type Genuine = NonNullable<OpenedDelivery['genuine']>

type Sealed = Pick<Webhook, 'appId' | 'secretEncrypted'>

const REFUSED: Receipt = { kind: 'refused' }
const NOTED_AFTER_MS = 200
/** In so much time more are not noted. */
const MAX_REFUSALS = 100
const APP_ID = /^[a-z0-9]{1,32}$/
const UNSIGNED = "it is not signed with the webhook's secret"
const UNREADABLE_SECRET = 'its secret was encrypted with a key other than MASTER_KEY: rotate it'
/** The limit's minute is over then. */
const LOOKUP_AFTER_SECONDS = 60

export class WebhookCommands {
  /** Stands in where there is no webhook, so that a request for none takes the same work. */
  readonly #decoy: Sealed
  readonly #large = new LargeDeliveries()
  readonly #refusals: { readonly received: Received; readonly reason: string }[] = []

  constructor(private readonly dependencies: CommandDependencies) {
    const secretEncrypted = dependencies.secrets.encrypt(newSecret(), webhookSecretAad('nobody'))
    this.#decoy = { appId: 'nobody', secretEncrypted }
  }

  /** A new secret; from now on deliveries under the one before are refused. Nobody can read it again. */
  async rotate(appId: string): Promise<string> {
    const secret = newSecret()
    const { database, secrets } = this.dependencies
    await database.transaction(async (manager) => {
      await lockKeySharedToEncrypt(manager, secrets)
      await getApp(manager, appId, 'appId')
      const secretEncrypted = secrets.encrypt(secret, webhookSecretAad(appId))
      await manager.upsert(Webhook, { appId, secretEncrypted, rotatedAt: new Date() }, ['appId'])
    })
    return secret
  }

  /** A request to the webhook of an app: looked at if it is genuine and new, written down, and deployed. */
  async receive(appId: string, headers: Headers, body: Buffer): Promise<Receipt> {
    const hook = await this.#find(appId)
    const secret = this.#secretOf(hook ?? this.#decoy)
    const sealed = { headers, body, secret: secret ?? '', receivedAt: new Date() }
    const isSmall = body.length <= SMALL_DELIVERY_BYTES
    const opened = isSmall ? openDelivery(sealed) : await this.#large.open(sealed).catch(messageOf)
    if (typeof opened === 'string' || !opened.genuine || secret === null || hook === null) {
      const why = typeof opened === 'string' ? `it could not be read: ${opened}` : UNSIGNED
      if (hook !== null)
        this.#noteRefusal({ appId, headers, reason: secret === null ? UNREADABLE_SECRET : why })
      return REFUSED
    }
    const { genuine, ...about } = opened
    const handled = await this.dependencies.database.transaction((manager) =>
      // A large one is decided once: kept, a hundred of them would be gigabytes.
      this.#handle(manager, { appId, ...about }, { ...genuine, body: isSmall ? body : null }),
    )
    this.#announce(handled)
    return handled.receipt
  }

  /** Whether an app has a webhook. */
  async isHooked(appId: string): Promise<boolean> {
    return (await this.#find(appId)) !== null
  }

  /**
   * A request whose body was not read, for `reason`: written down, and the repository is looked up in a minute. Nobody knows
   * who sent it; strangers cause one lookup a minute by it.
   */
  async refuseUnread(appId: string, headers: Headers, reason: string): Promise<void> {
    if (!(await this.isHooked(appId))) return
    this.#noteRefusal({ appId, headers, reason })
    await requestLookup(this.dependencies.database, appId, LOOKUP_AFTER_SECONDS)
  }

  /** Decides once more about a delivery, as things are now: a new entry of the log. */
  async redeliver(deliveryId: string): Promise<WebhookDelivery> {
    const handled = await this.dependencies.database.transaction(async (manager) => {
      const earlier = await findWithBody(manager, deliveryId)
      const app = await lockWebhook(manager, earlier.appId)
      if (!app) throw new CommandError('NOT_FOUND', `there is no delivery ${deliveryId}`, 'deliveryId')
      const { appId, forge, event, contentType, body } = earlier
      const id = createId()
      const read = readEvent({ forge, event, contentType, body })
      const how = { isRedelivery: true, isOverLimit: false, settings: this.dependencies.settings }
      const outcome = await handleEvent(manager, app, { ...how, id, forge, event: read })
      const { found } = outcome
      const row = newDelivery({ appId, forge, event, contentType }, found.verdict, found.reason)
      const delivery = await record(manager, { ...row, ...found, id, body, redeliveryOf: deliveryId })
      return { ...outcome, delivery }
    })
    this.#announce(handled)
    return handled.delivery
  }

  async #handle(
    manager: EntityManager,
    received: Received,
    { keys, content: event, body }: Genuine & { readonly body: Buffer | null },
  ): Promise<{ receipt: Receipt } & Deployed> {
    const app = await lockWebhook(manager, received.appId)
    if (!app) return { receipt: REFUSED, ...NONE }
    await forgetOld(manager, app.id)
    const known = { appId: app.id, ...keys }
    const byKey = await findDuplicate(manager, known, 'deliveryKey')
    const duplicate = byKey ?? (await findDuplicate(manager, known, 'bodyHash'))
    const isAnother =
      byKey === null && event.kind === 'push' && (await continuesHistory(manager, app.id, event.pushes))
    if (duplicate && !isAnother) {
      return { receipt: { kind: 'duplicate', delivery: duplicate }, ...NONE }
    }
    const id = createId()
    const load = await loadOf(manager, app.id)
    const how = {
      id,
      event,
      forge: received.forge,
      isRedelivery: false,
      settings: this.dependencies.settings,
    }
    const outcome =
      load === 'flood'
        ? flooded(event)
        : await handleEvent(manager, app, { ...how, isOverLimit: load === 'full' })
    if (outcome.isLimited) return this.#limit(manager, received, outcome)
    const { found } = outcome
    if (duplicate) await manager.update(WebhookDelivery, { id: duplicate.id }, { bodyHash: null })
    const kept = found.verdict === WebhookVerdict.PONG ? null : body
    const row = { ...newDelivery(received, found.verdict, found.reason), ...found, ...keys, id, body: kept }
    return { ...outcome, receipt: { kind: 'received', delivery: await record(manager, row) } }
  }

  /** Not deployed now: a worker looks the branch up when the minute is over, so that its newest commit is, whatever came before. */
  async #limit(
    manager: EntityManager,
    received: Received,
    { found: { ref, beforeSha, commitSha }, stopped }: Outcome,
  ): Promise<{ receipt: Receipt } & Deployed> {
    const row = newDelivery(received, WebhookVerdict.RATE_LIMITED, LIMITED)
    await recordUnhandled(manager, { ...row, ref, beforeSha, commitSha })
    await requestLookup(manager, received.appId, LOOKUP_AFTER_SECONDS)
    return { receipt: { kind: 'limited' }, queued: [], stopped }
  }

  async #find(appId: string): Promise<Sealed | null> {
    // Asked for a name that no app can have as well, and one query whatever it finds: the same work.
    const id = APP_ID.test(appId) ? appId : 'nobody'
    const [row] = await this.dependencies.database.query<Sealed[]>(
      `SELECT w.app_id AS "appId", w.secret_encrypted AS "secretEncrypted"
         FROM webhook w JOIN app a ON a.id = w.app_id WHERE w.app_id = $1 AND a.deleted_at IS NULL`,
      [id],
    )
    return row ?? null
  }

  /** Null: it was encrypted with another key. */
  #secretOf({ appId, secretEncrypted }: Sealed): string | null {
    try {
      return this.dependencies.secrets.decrypt(secretEncrypted, webhookSecretAad(appId))
    } catch (error) {
      if (error instanceof DecryptError) return null
      throw error
    }
  }

  /** Well after the answer, and one after the other: their work would tell strangers by its time which apps there are. */
  #noteRefusal({ appId, headers, reason }: { appId: string; headers: Headers; reason: string }): void {
    const about = aboutDelivery(headers)
    // The log is for whoever wonders why nothing happens: a line that is lost is no fault.
    if (this.#refusals.length >= MAX_REFUSALS) return
    if (this.#refusals.push({ received: { appId, ...about }, reason }) > 1) return
    setTimeout(() => void this.#writeRefusals().catch(() => undefined), NOTED_AFTER_MS).unref()
  }

  async #writeRefusals(): Promise<void> {
    const { manager } = this.dependencies.database
    for (const { received, reason } of this.#refusals.splice(0))
      await recordUnhandled(manager, newDelivery(received, WebhookVerdict.REFUSED, reason))
  }

  #announce({ queued, stopped }: Deployed): void {
    const { wakeups } = this.dependencies
    for (const { deployment, superseded } of queued) {
      announceQueued(wakeups, deployment)
      for (const id of superseded) wakeups.deploymentSettled(id)
    }
    for (const stage of stopped) announceStop(wakeups, stage)
    wakeups.pushReceived()
  }
}

function messageOf({ message }: Error): string {
  return message
}

/** The app, whose deliveries are handled one after another until the transaction ends. */
async function lockWebhook(manager: EntityManager, appId: string): Promise<App | null> {
  await manager.query('SELECT app_id FROM webhook WHERE app_id = $1 FOR NO KEY UPDATE', [appId])
  return manager.findOneBy(App, { id: appId, deletedAt: IsNull() })
}

/** Gives an app's webhook a secret if it has none; in a transaction that has the key's lock. */
export async function createSecret(manager: EntityManager, appId: string, secrets: SecretBox): Promise<void> {
  const sealed = secrets.encrypt(newSecret(), webhookSecretAad(appId))
  const sql = 'INSERT INTO webhook (app_id, secret_encrypted) VALUES ($1, $2) ON CONFLICT (app_id) DO NOTHING'
  await manager.query(sql, [appId, sealed])
}

/** Taken by every forge as its secret; what follows `whsec_` is the key of Standard Webhooks. */
function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}
