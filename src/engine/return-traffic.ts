import type { DataSource } from 'typeorm'
import { App } from '../entities/app.js'
import { DeploymentStatus } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'
import type { Logger } from '../logger.js'
import type { Queryable } from './logs/store.js'
import { transition } from './states.js'
import { containerNames } from './steps/containers.js'
import type { Tools } from './steps/context.js'
import { pointStageTo } from './steps/route.js'
import { STOP_GRACE_SECONDS } from './steps/retire.js'

/**
 * Sends a stage's traffic back to the deployment that served before a failed one, which becomes ROLLED_BACK with the
 * reason. The kept containers are started first and have to run. At most once: what it goes back to is not watched.
 *
 * @returns false where there is nothing to go back to: no version before it, the same image, or its containers are gone
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
  const names = containerNames(app.name, before.id, before.configuration?.replicas ?? 1)
  const addresses = await startKept(names, tools, signal).catch((error: unknown) => {
    logger.warn('the version before cannot be started', {
      deployment: before.id,
      error: (error as Error).message,
    })
    return null
  })
  if (!addresses) return false
  const reason = `rolled back to ${before.id}: ${why}`
  const returned = await tools.database.transaction((manager) =>
    switchBack(manager, failed, before, addresses, reason),
  )
  if (!returned) return true // another worker was first
  for (const id of [failed.id, before.id]) tools.wakeups.notify('deployment', id)
  tools.wakeups.notify('route', failed.stageId)
  await tools.router.apply().catch(() => undefined)
  logger.warn('traffic went back to the version before', { failed: failed.id, serving: before.id, why })
  await removeFailed(app, failed, tools).catch(() => tools.wakeups.notify('stage', failed.stageId))
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

/** Gives their addresses. */
function startKept(names: readonly string[], tools: Tools, signal: AbortSignal): Promise<string[]> {
  return Promise.all(
    names.map(async (name) => {
      await tools.docker.startContainer(name, signal)
      await tools.docker.keepRunning(name)
      const state = await tools.docker.findContainer(name)
      if (!state?.running || state.address === null) throw new Error(`${name} does not run`)
      return state.address
    }),
  )
}

async function switchBack(
  manager: Queryable,
  failed: Deployment,
  before: Deployment,
  addresses: readonly string[],
  reason: string,
): Promise<boolean> {
  await manager.query('SELECT id FROM stage WHERE id = $1 FOR UPDATE', [failed.stageId])
  const rows = await manager.query<unknown[]>(
    `SELECT 1 FROM deployment d JOIN stage s ON s.id = d.stage_id JOIN deployment b ON b.id = $2
      WHERE d.id = $1 AND d.status = 'RUNNING' AND d.watch_until IS NOT NULL AND NOT s.stopped
        AND s.current_deployment_id = d.id AND b.status = 'RETIRED' FOR UPDATE OF d, b`,
    [failed.id, before.id],
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
  const back = { addresses: [...addresses], finished_at: null, drain_until: null, live_at: new Date() }
  const claim = { deploymentId: before.id, epoch: before.epoch }
  await transition(manager, claim, RUNNING, `${failed.id} failed; serving again`, back)
  await pointStageTo(manager, failed.stageId, before.id)
  return true
}

async function removeFailed(app: App, failed: Deployment, tools: Tools): Promise<void> {
  const names = containerNames(app.name, failed.id, failed.configuration?.replicas ?? 1)
  await Promise.all(names.map((name) => tools.docker.removeContainer(name, STOP_GRACE_SECONDS)))
}
