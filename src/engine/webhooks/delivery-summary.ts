import type { EntityManager } from 'typeorm'
import { type StageDecision, WebhookDelivery, WebhookVerdict } from '../../entities/webhook-delivery.js'
import { printable } from './delivery-log.js'

/** A delivery's verdict and reason, by what each stage does. */
export function summaryOf(decisions: readonly StageDecision[]): Pick<WebhookDelivery, 'verdict' | 'reason'> {
  const some =
    verdictOf(decisions, WebhookVerdict.DEPLOYED, ({ deploymentId }) => deploymentId !== null) ??
    verdictOf(decisions, WebhookVerdict.COMPARING, ({ comparison }) => comparison === 'pending')
  if (some) return some
  const reasons = [...new Set(decisions.map(({ reason }) => reason))]
  const [only = 'no branch or tag was pushed', ...others] = reasons
  const each = decisions.map(({ stage, reason }) => `${stage}: ${reason}`).join('; ')
  return { verdict: WebhookVerdict.IGNORED, reason: printable(others.length === 0 ? only : each) }
}

function verdictOf(
  decisions: readonly StageDecision[],
  verdict: WebhookVerdict,
  has: (decision: StageDecision) => boolean,
): Pick<WebhookDelivery, 'verdict' | 'reason'> | null {
  const found = decisions.filter(has)
  if (found.length === 0) return null
  const stages = [...new Set(found.map(({ stage }) => stage))]
  return { verdict, reason: printable(`${stages.join(', ')}: ${found[0]?.reason ?? ''}`) }
}

/** What came of a comparison. */
export interface ComparedDecision {
  readonly stage: string
  readonly ref: string
  readonly reason: string
  readonly deploymentId: string | null
}

/** Writes into the delivery of a push what came of its comparison. */
export async function settleDecision(
  manager: EntityManager,
  deliveryId: string,
  { stage, ref, reason, deploymentId }: ComparedDecision,
): Promise<void> {
  const delivery = await manager.findOne(WebhookDelivery, {
    where: { id: deliveryId },
    lock: { mode: 'for_no_key_update' },
  })
  if (!delivery) return
  const settled = { reason: printable(reason), deploymentId, comparison: 'done' as const }
  const decisions = delivery.decisions.map((decision) => {
    const isIt = decision.stage === stage && decision.ref === ref && decision.comparison === 'pending'
    return isIt ? { ...decision, ...settled } : decision
  })
  const { verdict, reason: summary } = summaryOf(decisions)
  await manager.query('UPDATE webhook_delivery SET decisions = $2, verdict = $3, reason = $4 WHERE id = $1', [
    deliveryId,
    JSON.stringify(decisions),
    verdict,
    summary,
  ])
}
