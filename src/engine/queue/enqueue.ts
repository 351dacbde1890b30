import { type DataSource, type EntityManager, In } from 'typeorm'
import { DeploymentStatus, DeploymentTrigger, IN_FLIGHT_STATUSES } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { DeploymentLog } from '../../entities/deployment-log.js'
import { Stage } from '../../entities/stage.js'
import { CommandError } from '../command-error.js'
import { lockKeyShared } from '../secrets/instance.js'
import { createId } from '../names.js'
import { NOW, recordEvent, settle } from './states.js'
import type { Wakeups } from '../wakeups/wakeups.js'

/** Pending deployments per stage; beyond it what somebody asks for is refused, and a push ends the oldest. */
const MAX_PENDING = 25
/** A deployment under way makes way for a newer one; after so many in a row the next one may finish. */
const MAX_PREEMPTED_IN_A_ROW = 3
/** A lost image that could not be built again is tried again after this long, then after twice as long each time, … */
const REBUILD_BACKOFF_SECONDS = 300
/** … and at least this often. */
const MAX_REBUILD_BACKOFF_SECONDS = 3_600

/** Nobody is there to ask again. */
const NEVER_REFUSED: readonly DeploymentTrigger[] = [DeploymentTrigger.WEBHOOK, DeploymentTrigger.POLL]

/** Who asks by the API, for as long as there is one token. */
export const ADMIN = 'admin'

/** A deployment that is put into the queue. */
export interface NewDeployment extends Partial<
  Pick<
    Deployment,
    | 'ref'
    | 'noCache'
    | 'idempotencyKey'
    | 'imageId'
    | 'commitSha'
    | 'commitMessage'
    | 'configuration'
    | 'sourceId'
  >
> {
  readonly trigger: DeploymentTrigger
  /** Who asks for it; null: the engine itself. */
  readonly actor: string | null
  /** What its first event says. */
  readonly reason?: string
}

/** Puts a deployment into the queue, in the caller's transaction, which holds the stage's row. */
export async function enqueue(
  manager: EntityManager,
  stage: Stage,
  { reason, ...deployment }: NewDeployment,
): Promise<Deployment> {
  if (!NEVER_REFUSED.includes(deployment.trigger)) await refuseBeyond(manager, stage.id)
  const id = createId()
  await manager.insert(Deployment, { id, appId: stage.appId, stageId: stage.id, ...deployment })
  await manager.insert(DeploymentLog, { deploymentId: id })
  const first = { from: null, to: DeploymentStatus.PENDING, reason: reason ?? null }
  await recordEvent(manager, { deploymentId: id, epoch: 0 }, first)
  await preempt(manager, stage.id, id)
  return manager.findOneByOrFail(Deployment, { id })
}

async function refuseBeyond(manager: EntityManager, stageId: string): Promise<void> {
  const waiting = await manager.countBy(Deployment, { stageId, status: DeploymentStatus.PENDING })
  if (waiting < MAX_PENDING) return
  throw new CommandError(
    'QUEUE_FULL',
    `${waiting} deployments of this stage are already waiting: wait for one to start`,
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
    const text = `Superseded by the newer deployment ${id}.`
    const patch = { supersededBy: id, finishedAt: NOW }
    await settle(manager, claim, { to: DeploymentStatus.SUPERSEDED, text, patch })
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
  wakeups.deploymentChanged(deployment.id)
  wakeups.cancelRequested()
  wakeups.queueChanged()
}

/**
 * Queues the commit of a deployment once more whose image is gone although it is to serve.
 *
 * @returns null where that is not so any more, where something of the stage waits or is under way, which is newer, and
 * for 5 minutes after such a build has ended in vain, then 10, and so on up to an hour
 */
export async function rebuildLost(
  database: DataSource,
  wakeups: Wakeups,
  lost: Deployment,
): Promise<Deployment | null> {
  const queued = await database.transaction(async (manager) => {
    await lockKeyShared(manager)
    const stage = await manager.findOneOrFail(Stage, {
      where: { id: lost.stageId },
      lock: { mode: 'for_no_key_update' },
    })
    if (stage.stopped || stage.currentDeploymentId !== lost.id) return null
    const status = In([DeploymentStatus.PENDING, ...IN_FLIGHT_STATUSES])
    if (await manager.existsBy(Deployment, { stageId: stage.id, status })) return null
    const idempotencyKey = await nextRebuild(manager, lost)
    if (idempotencyKey === null) return null
    const { configuration } = await manager.findOneByOrFail(Deployment, { id: lost.id })
    const reason = `the image of ${lost.id} is gone`
    const trigger = DeploymentTrigger.MANUAL
    const pinned = { ref: lost.commitSha, idempotencyKey, configuration }
    return enqueue(manager, stage, { trigger, actor: null, ...pinned, reason })
  })
  if (queued) announceQueued(wakeups, queued)
  return queued
}

/** The idempotency key of the next build of what was lost; null: it is too soon after the last one. */
async function nextRebuild(manager: EntityManager, { id, appId }: Deployment): Promise<string | null> {
  const key = `rebuild-of-${id}`
  const [earlier] = await manager.query<{ count: number; rests: boolean | null }[]>(
    `SELECT count(*)::int AS count,
            max(finished_at) + make_interval(secs => least($3, $4 * 2 ^ (count(*) - 1))) > now() AS rests
       FROM deployment WHERE app_id = $1 AND starts_with(idempotency_key, $2)`,
    [appId, key, MAX_REBUILD_BACKOFF_SECONDS, REBUILD_BACKOFF_SECONDS],
  )
  if (!earlier || earlier.rests) return null
  return earlier.count === 0 ? key : `${key}-${earlier.count + 1}`
}
