import { type DataSource, type EntityManager, In } from 'typeorm'
import { DeploymentStatus, DeploymentTrigger } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { LogStream } from '../../entities/log-stream.js'
import { Stage } from '../../entities/stage.js'
import { CommandError } from '../errors.js'
import { shareKey } from '../instance.js'
import { createId } from '../names.js'
import { NOW, recordEvent, settle } from '../states.js'
import type { Wakeups } from '../wakeups.js'

/** Pending deployments per stage; beyond it what somebody asks for is refused, and a push ends the oldest. */
const MAX_PENDING = 25
/** A deployment under way makes way for a newer one; after so many in a row the next one may finish. */
const MAX_PREEMPTED_IN_A_ROW = 3

export type EnqueueOptions = Partial<
  Pick<
    Deployment,
    'ref' | 'noCache' | 'idempotencyKey' | 'imageId' | 'commitSha' | 'commitMessage' | 'configuration'
  >
>

/** Puts a deployment into the queue, in the caller's transaction, which holds the stage's row. */
export async function enqueue(
  manager: EntityManager,
  stage: Stage,
  trigger: DeploymentTrigger,
  options: EnqueueOptions,
  reason: string | null = null,
): Promise<Deployment> {
  if (trigger !== DeploymentTrigger.WEBHOOK) await refuseBeyond(manager, stage.id)
  const id = createId()
  await manager.insert(Deployment, {
    id,
    appId: stage.appId,
    stageId: stage.id,
    trigger,
    ...options,
  })
  await manager.insert(LogStream, { deploymentId: id })
  await recordEvent(manager, { deploymentId: id, epoch: 0 }, null, DeploymentStatus.PENDING, reason)
  await preempt(manager, stage.id, id)
  return manager.findOneByOrFail(Deployment, { id })
}

async function refuseBeyond(manager: EntityManager, stageId: string): Promise<void> {
  const waiting = await manager.countBy(Deployment, { stageId, status: DeploymentStatus.PENDING })
  if (waiting < MAX_PENDING) return
  throw new CommandError(
    'QUEUE_FULL',
    `${waiting} deployments of this stage wait already: let one start first`,
  )
}

/**
 * Ends the oldest that wait where there are too many, and gives their ids: whoever claims the newest one ends them too.
 * Nobody is there to push again, so that a push must not be refused.
 */
export async function supersedeOldest(
  manager: EntityManager,
  { id, stageId }: Deployment,
): Promise<readonly string[]> {
  const status = DeploymentStatus.PENDING
  const beyond = await manager.find(Deployment, {
    select: { id: true },
    where: { stageId, status },
    order: { generation: 'DESC' },
    skip: MAX_PENDING,
  })
  if (beyond.length === 0) return []
  // Locked in a second step: PostgreSQL locks what it skips as well. One may have been cancelled since.
  const oldest = await manager.find(Deployment, {
    where: { id: In(beyond.map((older) => older.id)), status },
    order: { id: 'ASC' },
    lock: { mode: 'for_no_key_update' },
  })
  for (const older of oldest) {
    const claim = { deploymentId: older.id, epoch: older.epoch }
    const words = { text: `Superseded by the newer deployment ${id}.` }
    const patch = { superseded_by: id, finished_at: NOW }
    await settle(manager, claim, DeploymentStatus.SUPERSEDED, words, patch)
  }
  return oldest.map((older) => older.id)
}

/**
 * Asks the deployment of the stage that still clones or builds to make way. Not when the last three have already done
 * so: else a stage that is pushed to faster than it builds would never get a version.
 */
async function preempt(manager: EntityManager, stageId: string, newerId: string): Promise<void> {
  await manager.query(
    `UPDATE deployment SET superseded_by = $2
      WHERE stage_id = $1 AND status IN ('CLONING', 'BUILDING') AND superseded_by IS NULL
        AND $3 > (SELECT count(*) FROM deployment d
                   WHERE d.stage_id = $1 AND d.status = 'SUPERSEDED' AND d.started_at IS NOT NULL
                     AND d.generation > (SELECT coalesce(max(e.generation), 0) FROM deployment e
                                          WHERE e.stage_id = $1 AND (e.live_at IS NOT NULL OR e.status = 'FAILED')))`,
    [stageId, newerId, MAX_PREEMPTED_IN_A_ROW],
  )
}

/** Tells workers and followers of a new deployment; after the commit. */
export function announceQueued(wakeups: Wakeups, deployment: Deployment): void {
  wakeups.notify('deployment', deployment.id)
  wakeups.notify('cancel', deployment.id)
  wakeups.notify('queue', deployment.id)
}

/** Builds the commit of a deployment once more whose image is gone although it is to serve; at most once for each. */
export async function rebuildLost(database: DataSource, wakeups: Wakeups, lost: Deployment): Promise<void> {
  const idempotencyKey = `rebuild-of-${lost.id}`
  const queued = await database.transaction(async (manager) => {
    await shareKey(manager)
    const { configuration } = await manager.findOneByOrFail(Deployment, { id: lost.id })
    const stage = await manager.findOneOrFail(Stage, {
      where: { id: lost.stageId },
      lock: { mode: 'for_no_key_update' },
    })
    if (await manager.existsBy(Deployment, { appId: lost.appId, idempotencyKey })) return null
    const options = { ref: lost.commitSha, idempotencyKey, configuration }
    const reason = `the image of ${lost.id} is gone`
    return enqueue(manager, stage, DeploymentTrigger.MANUAL, options, reason)
  })
  if (queued) announceQueued(wakeups, queued)
}
