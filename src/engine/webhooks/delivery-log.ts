import type { DataSource, EntityManager } from 'typeorm'
import { type Forge, WebhookDelivery, WebhookVerdict } from '../../entities/webhook-delivery.js'
import { createId } from '../names.js'
import type { DeliveryKeys } from './forges.js'
import type { Push } from './push.js'

/** So long a second delivery is known as such, and the log is kept. */
const KEPT = `interval '7 days'`
/** More than so many of an app, and the oldest go sooner. */
const KEPT_ROWS = 10_000
/** Of so many, the newest, the body is kept: 1 MiB each at most. */
const KEPT_BODIES = 100
/** Deliveries of an app in a minute that are looked at. */
const LIMIT_PER_MINUTE = 30
/** Refused ones, or those over the limit, in a minute that are written down: whoever floods the webhook fills no disk. */
const NOTED_PER_MINUTE = 10

const NEVER_LOOKED_AT = [WebhookVerdict.REFUSED, WebhookVerdict.RATE_LIMITED]

/** What is known of a delivery before it is looked at. */
export interface Received {
  readonly appId: string
  readonly forge: Forge
  readonly event: string
  readonly contentType: string
}

type Row = Omit<WebhookDelivery, 'app' | 'number' | 'receivedAt'>

/** A row of the log with nothing in it yet. */
export function newDelivery(received: Received, verdict: WebhookVerdict, reason: string): Row {
  return {
    id: createId(),
    ...received,
    verdict,
    reason: printable(reason),
    deliveryKey: null,
    bodyHash: null,
    ref: null,
    beforeSha: null,
    commitSha: null,
    decisions: [],
    body: null,
    redeliveryOf: null,
  }
}

/** Text of a forge's as the database takes it. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, 1_000)
}

/** Writes a delivery down, and forgets what is too old or too much of its app's. */
export async function record(manager: EntityManager, row: Row): Promise<WebhookDelivery> {
  await manager.insert(WebhookDelivery, row)
  await manager.query(
    `UPDATE webhook_delivery SET body = NULL WHERE app_id = $1 AND body IS NOT NULL AND number <=
       (SELECT number FROM webhook_delivery WHERE app_id = $1 AND body IS NOT NULL ORDER BY number DESC OFFSET $2 LIMIT 1)`,
    [row.appId, KEPT_BODIES],
  )
  return manager.findOneByOrFail(WebhookDelivery, { id: row.id })
}

/** Forgets an app's deliveries of more than seven days ago. */
export async function forgetOld(manager: EntityManager, appId: string): Promise<void> {
  await manager.query(`DELETE FROM webhook_delivery WHERE app_id = $1 AND received_at < now() - ${KEPT}`, [
    appId,
  ])
}

/** The same for all apps, and what is too much of one. */
export async function cleanDeliveries(database: DataSource): Promise<void> {
  await database.query(
    `DELETE FROM webhook_delivery WHERE received_at < now() - ${KEPT} OR id IN
       (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY app_id ORDER BY number DESC) AS place
                          FROM webhook_delivery) numbered WHERE place > $1)`,
    [KEPT_ROWS],
  )
}

/** The delivery of which this is another copy. */
export function findSame(
  manager: EntityManager,
  appId: string,
  { deliveryKey, bodyHash }: DeliveryKeys,
): Promise<WebhookDelivery | null> {
  const same = [...(deliveryKey ? [{ appId, deliveryKey }] : []), ...(bodyHash ? [{ appId, bodyHash }] : [])]
  return same.length === 0 ? Promise.resolve(null) : manager.findOneBy(WebhookDelivery, same)
}

/** Whether the app has had so many in the last minute that no more are looked at. */
export async function isOverLimit(manager: EntityManager, appId: string): Promise<boolean> {
  const [row] = await manager.query<{ count: number }[]>(
    `SELECT count(*)::int AS count FROM webhook_delivery
      WHERE app_id = $1 AND received_at > now() - interval '1 minute' AND redelivery_of IS NULL AND verdict <> ALL($2)`,
    [appId, NEVER_LOOKED_AT],
  )
  return (row?.count ?? 0) >= LIMIT_PER_MINUTE
}

/** Writes down that a delivery was not looked at, unless that was said often enough in the last minute. */
export async function noteUnseen(
  manager: EntityManager,
  received: Received,
  verdict: WebhookVerdict,
  reason: string,
): Promise<void> {
  const [row] = await manager.query<{ count: number }[]>(
    `SELECT count(*)::int AS count FROM webhook_delivery
      WHERE app_id = $1 AND received_at > now() - interval '1 minute' AND verdict = $2`,
    [received.appId, verdict],
  )
  if ((row?.count ?? 0) >= NOTED_PER_MINUTE) return
  await manager.insert(WebhookDelivery, newDelivery(received, verdict, reason))
}

/** Said of a push that comes too late. */
export const LATE = 'a later push was handled before it; redeliver it to deploy it all the same'

/**
 * Whether a push comes too late: forges do not keep the order, and a later push that stands on this one was handled
 * before it. Not when it goes on from where the branch was last: then somebody has set the branch back.
 */
export async function isLate(manager: EntityManager, appId: string, push: Push): Promise<boolean> {
  if (push.sha === null) return false
  const [row] = await manager.query<{ passed: boolean; follows: boolean }[]>(
    `SELECT count(*) FILTER (WHERE before_sha = $3) > 0 AS passed,
            (array_agg(commit_sha ORDER BY number DESC) FILTER (WHERE NOT decisions @> $6))[1]
              IS NOT DISTINCT FROM $4 AS follows
       FROM webhook_delivery
      WHERE app_id = $1 AND ref = $2 AND verdict <> ALL($5) AND redelivery_of IS NULL`,
    [appId, push.ref, push.sha, push.before, NEVER_LOOKED_AT, JSON.stringify([{ reason: LATE }])],
  )
  return row !== undefined && row.passed && !row.follows
}
