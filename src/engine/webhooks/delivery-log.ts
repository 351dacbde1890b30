import type { DataSource, EntityManager } from 'typeorm'
import { type Forge, WebhookDelivery, WebhookVerdict } from '../../entities/webhook-delivery.js'
import { CommandError } from '../command-error.js'
import { oneLine } from '../quoted-text.js'
import { createId } from '../names.js'
import type { DeliveryKeys } from './forges.js'
import type { Push } from './push.js'

/** So long a second delivery is known as such, and the log is kept. */
const KEPT = `interval '7 days'`
/**
 * Of those that were never looked at, so many of an app: nobody without the secret pushes out the others. These all stay,
 * three million by the limit of a minute: one that is forgotten sooner could be sent again.
 */
const KEPT_UNHANDLED = 1_000
/** Of so many, the newest, the body is kept: 1 MiB each at most. */
const KEPT_BODIES = 100
/** UTF-16 units. */
const MAX_REASON = 1_000
/** Deliveries of an app in a minute that may deploy: pushes of other branches take nothing from them. */
const DEPLOYING_PER_MINUTE = 30
/** Deliveries of an app in a minute that are looked at, whatever they do. */
const LIMIT_PER_MINUTE = 300
/**
 * Of those that are not looked at, so many in a minute are written down: whoever floods the webhook fills no disk. Those over
 * the limit are signed, and each names a branch that somebody may miss.
 */
const NOTED_PER_MINUTE: Partial<Record<WebhookVerdict, number>> = { [WebhookVerdict.RATE_LIMITED]: 100 }
const REFUSED_PER_MINUTE = 10

const UNHANDLED = [WebhookVerdict.REFUSED, WebhookVerdict.RATE_LIMITED]

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

/** What is said of a delivery; it quotes the forge. */
export function printable(text: string): string {
  return oneLine(text, MAX_REASON)
}

/** Records a delivery, and drops the bodies that are too many of its app's. */
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

/** The same for all apps, and what is too much of those that were never looked at. */
export async function cleanDeliveries(database: DataSource): Promise<void> {
  await database.query(
    `DELETE FROM webhook_delivery WHERE received_at < now() - ${KEPT} OR id IN
       (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY app_id ORDER BY number DESC) AS place
                          FROM webhook_delivery WHERE verdict = ANY($2)) numbered WHERE place > $1)`,
    [KEPT_UNHANDLED, UNHANDLED],
  )
}

/** What tells a delivery from the others of its app. */
export interface DeliveryIdentity extends DeliveryKeys {
  readonly appId: string
}

/** The delivery of which this is another copy: by the forge's own id, or by the same body where that tells two apart. */
export async function findDuplicate(
  manager: EntityManager,
  known: DeliveryIdentity,
  by: keyof DeliveryKeys,
): Promise<WebhookDelivery | null> {
  const { appId, [by]: key } = known
  return key === null ? null : manager.findOneBy(WebhookDelivery, { appId, [by]: key })
}

/** A delivery whose body is kept. @throws CommandError NOT_FOUND, CONFLICT */
export async function findWithBody(
  manager: EntityManager,
  id: string,
): Promise<WebhookDelivery & { body: Buffer }> {
  const found = await manager
    .createQueryBuilder(WebhookDelivery, 'delivery')
    .addSelect('delivery.body')
    .where({ id })
    .getOne()
  if (!found) throw new CommandError('NOT_FOUND', `there is no delivery ${id}`, 'deliveryId')
  const { body } = found
  if (body === null) {
    const message = `the body of delivery ${id} (${found.verdict}) is not kept: have the forge resend it, or deploy`
    throw new CommandError('CONFLICT', message, 'deliveryId')
  }
  return Object.assign(found, { body })
}

/** How many deliveries of an app were looked at in the last minute: `full` deploys no more, of a `flood` none is looked at. */
export async function loadOf(manager: EntityManager, appId: string): Promise<'light' | 'full' | 'flood'> {
  const [row] = await manager.query<{ all: number; deploying: number }[]>(
    `SELECT count(*)::int AS all, count(*) FILTER (WHERE verdict = ANY($3))::int AS deploying
       FROM webhook_delivery
      WHERE app_id = $1 AND received_at > now() - interval '1 minute' AND redelivery_of IS NULL AND verdict <> ALL($2)`,
    [appId, UNHANDLED, [WebhookVerdict.DEPLOYED, WebhookVerdict.COMPARING]],
  )
  if ((row?.all ?? 0) >= LIMIT_PER_MINUTE) return 'flood'
  return (row?.deploying ?? 0) >= DEPLOYING_PER_MINUTE ? 'full' : 'light'
}

/** Records a delivery that was refused or over the limit, unless there were enough of them in the last minute. */
export async function recordUnhandled(manager: EntityManager, delivery: Row): Promise<void> {
  const [row] = await manager.query<{ count: number }[]>(
    `SELECT count(*)::int AS count FROM webhook_delivery
      WHERE app_id = $1 AND received_at > now() - interval '1 minute' AND verdict = $2`,
    [delivery.appId, delivery.verdict],
  )
  if ((row?.count ?? 0) >= (NOTED_PER_MINUTE[delivery.verdict] ?? REFUSED_PER_MINUTE)) return
  await manager.insert(WebhookDelivery, delivery)
}

/** The reason of a push that comes too late. */
export const STALE = 'a later push was handled before it; redeliver it to deploy it anyway'

/** How a push stands to those of its branch or tag that were handled before it. */
export interface Staleness {
  /** A later one, which stands on it, was handled before it: forges do not keep the order. */
  readonly isStale: boolean
  /** Names of the stages that have deployed that one or what followed it. */
  readonly passedIn: readonly string[]
}

/**
 * Not late is a push that goes on from where the branch was last, or whose commit the branch has been at before: then
 * somebody has set the branch back, and maybe a push between was lost.
 */
export async function stalenessOf(manager: EntityManager, appId: string, push: Push): Promise<Staleness> {
  if (push.sha === null || !push.hasBefore) return { isStale: false, passedIn: [] }
  const { passed, follows, known, passedIn } = await pastOf(manager, appId, push)
  return { isStale: passed && !follows && !known, passedIn }
}

/**
 * Whether pushes of which an equal body was handled before are others than those: each branch stands again where its
 * push began. Nothing else tells the two apart but an id that is not signed.
 */
export async function continuesHistory(
  manager: EntityManager,
  appId: string,
  pushes: readonly Push[],
): Promise<boolean> {
  for (const push of pushes) {
    if (!push.hasBefore || !(await pastOf(manager, appId, push)).follows) return false
  }
  return pushes.length > 0
}

interface Past {
  /** A push that was handled stands on this one. */
  readonly passed: boolean
  /** This one goes on from where its branch or tag was last. */
  readonly follows: boolean
  /** Its branch or tag has been at its commit before. */
  readonly known: boolean
  /** Stages that have deployed something since the first push was handled that stands on this one. */
  readonly passedIn: readonly string[]
}

/** What the log says of a push. A forge's test delivery, whose commit is its `before`, stands on nothing. */
async function pastOf(manager: EntityManager, appId: string, push: Push): Promise<Past> {
  const [row] = await manager.query<[Past]>(
    `WITH RECURSIVE past AS (
       SELECT number, place, decision->>'before' AS before, decision->>'sha' AS sha, decision->>'stage' AS stage,
              (decision->'isLate')::boolean AS late,
              coalesce(decision->>'deploymentId', decision->>'comparison') IS NOT NULL AS deployed
         FROM webhook_delivery, jsonb_array_elements(decisions) WITH ORDINALITY AS decided (decision, place)
        WHERE app_id = $1 AND redelivery_of IS NULL AND decision->>'ref' = $2
     ), later AS (
       SELECT number, sha FROM past WHERE before = $3 AND sha IS DISTINCT FROM before
       UNION SELECT past.number, past.sha FROM past JOIN later ON past.before = later.sha
     ), passing AS (SELECT min(number) AS number FROM later)
     SELECT passing.number IS NOT NULL AS passed,
            (SELECT sha FROM past WHERE NOT late ORDER BY past.number DESC, place DESC LIMIT 1)
              IS NOT DISTINCT FROM $4 AS follows,
            EXISTS (SELECT FROM past WHERE sha = $3 AND NOT late) AS known,
            ARRAY(SELECT stage FROM past WHERE deployed AND past.number >= passing.number) AS "passedIn"
       FROM passing`,
    [appId, push.ref, push.sha, push.before],
  )
  return row
}
