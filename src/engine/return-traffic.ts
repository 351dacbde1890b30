import type { DataSource } from 'typeorm'
import { App } from '../entities/app.js'
import { DeploymentStatus } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'
import type { Logger } from '../logger.js'
import { untilWellAgain } from './health.js'
import type { Queryable } from './logs/store.js'
import { release, reserve, type Reservation } from './reservation.js'
import { transition } from './states.js'
import { containerNames } from './steps/containers.js'
import type { Tools } from './steps/context.js'
import { pointStageTo } from './steps/route.js'
import { STOP_GRACE_SECONDS, untilDrained } from './steps/retire.js'

/** A version that ran before is waited for this long, or as long as its stage's deadline if that is shorter. */
const MAX_WAIT_SECONDS = 30

/**
 * Sends a stage's traffic back to the deployment that served before a failed one, which becomes ROLLED_BACK with the
 * reason. The kept containers are started first and have to answer. At most once: what it goes back to is not watched.
 *
 * @returns false where there is nothing to go back to: no version before it, the same image, or it does not come up
 */
export async function returnTraffic(
  failedId: string,
  why: string,
  tools: Tools,
  logger: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  const pair = await readPair(tools.database, failedId)
  if (!pair) return false
  const { failed, before, app } = pair
  // What is still draining runs and needs no waking.
  const asleep = before.addresses === null
  const seconds = waitSeconds(before) + STOP_GRACE_SECONDS
  const reservation = asleep ? await reserve(tools.database, before.id, seconds) : null
  if (asleep && reservation === null) return true // it is being stopped, or another worker is at it
  const addresses = await wake(app, before, tools, signal).catch(async (error: unknown) => {
    logger.warn('the version before does not come up', {
      deployment: before.id,
      error: (error as Error).message,
    })
    await giveUp(tools, before, reservation).catch(() => undefined)
    return null
  })
  if (!addresses) return false
  const reason = `rolled back to ${before.id}: ${why}`
  const returned = await tools.database.transaction((manager) =>
    switchBack(manager, pair, addresses, reason, tools.settings.drainMs),
  )
  if (!returned) {
    // A newer deployment, a stop or another worker was first, or a drain has just ended: the next round sees.
    await giveUp(tools, before, reservation)
    return true
  }
  for (const id of [failed.id, before.id]) tools.wakeups.notify('deployment', id)
  tools.wakeups.notify('route', failed.stageId)
  await tools.router.apply().catch(() => undefined)
  logger.warn('traffic went back to the version before', { failed: failed.id, serving: before.id, why })
  await removeFailed(app, failed, tools, signal).catch(() => tools.wakeups.notify('stage', failed.stageId))
  return true
}

interface Pair {
  readonly app: App
  readonly failed: Deployment
  readonly before: Deployment
}

async function readPair(database: DataSource, failedId: string): Promise<Pair | null> {
  const deployments = database.getRepository(Deployment)
  const failed = await deployments.findOneBy({ id: failedId, status: DeploymentStatus.RUNNING })
  if (!failed?.replacedId) return null
  const before = await deployments.findOneBy({ id: failed.replacedId, status: DeploymentStatus.RETIRED })
  // The same image would fail again.
  if (!before || before.imageId === failed.imageId) return null
  const app = await database.getRepository(App).findOneBy({ id: failed.appId })
  return app && { app, failed, before }
}

/** The reconciler stops what was woken, and the next round may try again. */
async function giveUp(
  { database, wakeups }: Tools,
  before: Deployment,
  reservation: Reservation | null,
): Promise<void> {
  if (reservation === null) return
  await release(database, before.id, reservation)
  wakeups.notify('stage', before.stageId)
}

function waitSeconds({ configuration }: Deployment): number {
  return Math.min(configuration?.health.deadlineSeconds ?? MAX_WAIT_SECONDS, MAX_WAIT_SECONDS)
}

/** Gives the addresses of its containers, which answer. */
function wake(app: App, before: Deployment, tools: Tools, signal: AbortSignal): Promise<string[]> {
  const names = containerNames(app.name, before.id, before.configuration?.replicas ?? 1)
  // Not the image's own check: traffic has nowhere to go until its first finding.
  const patience = { seconds: waitSeconds(before), ownCheck: false }
  return Promise.all(
    names.map(async (name) => {
      // It may be within the grace time of its stop, and would be killed as soon as it serves.
      if (before.addresses === null) await tools.docker.stopContainer(name, 0)
      await tools.docker.startContainer(name, signal)
      await tools.docker.keepRunning(name, signal)
      return untilWellAgain(name, before, patience, tools.docker, signal)
    }),
  )
}

async function switchBack(
  manager: Queryable,
  { failed, before }: Pair,
  addresses: readonly string[],
  reason: string,
  drainMs: number,
): Promise<boolean> {
  await manager.query('SELECT id FROM stage WHERE id = $1 FOR NO KEY UPDATE', [failed.stageId])
  const rows = await manager.query<unknown[]>(
    `SELECT 1 FROM deployment d JOIN stage s ON s.id = d.stage_id JOIN deployment b ON b.id = $2
      WHERE d.id = $1 AND d.status = 'RUNNING' AND d.watch_until IS NOT NULL AND NOT s.stopped
        AND s.current_deployment_id = d.id AND b.status = 'RETIRED' AND (b.addresses IS NULL) = $3
        FOR NO KEY UPDATE OF d, b`,
    [failed.id, before.id, before.addresses === null],
  )
  if (rows.length === 0) return false
  const { ROLLED_BACK, RUNNING } = DeploymentStatus
  const gone = {
    finished_at: new Date(),
    watch_until: null,
    addresses: null,
    error_code: 'ROLLED_BACK',
    error_phase: RUNNING,
    error_message: reason,
  }
  await transition(manager, { deploymentId: failed.id, epoch: failed.epoch }, ROLLED_BACK, reason, gone)
  // By the database's clock, as everything that other processes go by.
  await manager.query('UPDATE deployment SET drain_until = now() + make_interval(secs => $2) WHERE id = $1', [
    failed.id,
    drainMs / 1000,
  ])
  const back = { addresses: [...addresses], finished_at: null, drain_until: null, live_at: new Date() }
  const claim = { deploymentId: before.id, epoch: before.epoch }
  await transition(manager, claim, RUNNING, `${failed.id} failed; serving again`, back)
  await pointStageTo(manager, failed.stageId, before.id)
  return true
}

/** What it is still answering may end; until `drain_until` the reconciler leaves it alone, then removes it if nobody has. */
async function removeFailed(app: App, failed: Deployment, tools: Tools, signal: AbortSignal): Promise<void> {
  await untilDrained(failed.id, performance.now() + tools.settings.drainMs, tools, signal)
  const names = containerNames(app.name, failed.id, failed.configuration?.replicas ?? 1)
  await Promise.all(names.map((name) => tools.docker.removeContainer(name, STOP_GRACE_SECONDS)))
}
