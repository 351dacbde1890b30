import type { EntityManager } from 'typeorm'
import { PushComparison } from '../../entities/push-comparison.js'
import type { Stage } from '../../entities/stage.js'
import { createId } from '../names.js'
import { settleDecision } from '../webhooks/delivery-summary.js'
import type { PushedCommit } from './push-deployment.js'

/** What the decision of a push says while a worker compares it. */
export const COMPARING = 'a worker compares it with what serves'

/**
 * Has a worker compare a push with what serves before it is deployed. In the caller's transaction, which holds the
 * stage's row; an older push of the stage that still waits for it makes way.
 */
export async function awaitComparison(
  manager: EntityManager,
  stage: Stage,
  { deliveryId, ...pushed }: PushedCommit & { readonly deliveryId: string | null },
): Promise<void> {
  await dropComparison(manager, stage)
  const { ref, sha, message, trigger, actor } = pushed
  const row = { id: createId(), stageId: stage.id, ref, sha, message, trigger, actor, deliveryId }
  await manager.insert(PushComparison, row)
}

/** A newer push of the stage has come: what was to be compared is not deployed any more. */
export async function dropComparison(manager: EntityManager, stage: Stage): Promise<void> {
  const older = await manager.findOneBy(PushComparison, { stageId: stage.id })
  if (!older) return
  await manager.delete(PushComparison, { id: older.id })
  const reason = 'a later push came before it was compared with what serves'
  await settleComparison(manager, stage, { ...older, reason, deploymentId: null })
}

/** Writes into the delivery of a push, if there was one, what came of its comparison. */
export async function settleComparison(
  manager: EntityManager,
  { name }: Stage,
  comparison: Pick<PushComparison, 'deliveryId' | 'ref'> & {
    readonly reason: string
    readonly deploymentId: string | null
  },
): Promise<void> {
  const { deliveryId, ref, reason, deploymentId } = comparison
  if (deliveryId === null) return
  await settleDecision(manager, deliveryId, { stage: name, ref, reason, deploymentId })
}
