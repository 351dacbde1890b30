import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../logs/store.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'
import { step, type Tools } from './context.js'
import type { Replaced } from './route.js'

const LOOK_MS = 50
/** Between SIGTERM and SIGKILL. */
export const STOP_GRACE_SECONDS = 10

/**
 * Lets requests that are under way end, at most until `drain_until`, then stops and removes the containers of a RETIRED
 * deployment. New requests do not reach them: the stage's traffic has moved, and the deployment's own host goes with
 * this. Whoever calls this again after a crash goes on with the stored deadline.
 */
export async function retire(
  replaced: Replaced,
  tools: Tools,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const until = await drainDeadline(tools.database, replaced.deploymentId)
  if (until === null) return
  await step(tools, 'drain', async () => {
    while (tools.inFlight(replaced.deploymentId) !== 0 && performance.now() < until) {
      await sleep(LOOK_MS, undefined, { signal })
    }
  })
  if (!(await takeAddresses(tools.database, replaced.deploymentId))) return
  tools.wakeups.notify('route', replaced.deploymentId)
  await step(tools, 'stop', () => removeContainers(replaced.deploymentId, tools))
}

/** On the monotonic clock of this process; null when it is not RETIRED any more. */
async function drainDeadline(database: Queryable, deploymentId: string): Promise<number | null> {
  const [row] = await database.query<{ left: number | null }[]>(
    `SELECT extract(epoch FROM drain_until - now())::float8 * 1000 AS left
       FROM deployment WHERE id = $1 AND status = 'RETIRED'`,
    [deploymentId],
  )
  return row ? performance.now() + (row.left ?? 0) : null
}

/** False: it serves again, and is not to be touched. */
async function takeAddresses(database: Queryable, deploymentId: string): Promise<boolean> {
  const [, count] = await database.query<[unknown[], number]>(
    `UPDATE deployment SET addresses = NULL WHERE id = $1 AND status = 'RETIRED' RETURNING id`,
    [deploymentId],
  )
  return count > 0
}

/** All containers of a deployment, by label. */
export async function removeContainers(deploymentId: string, tools: Tools): Promise<void> {
  const containers = await tools.docker.listContainers(`${DEPLOYMENT_LABEL}=${deploymentId}`)
  await Promise.all(
    containers.map((container) => tools.docker.removeContainer(container.name, STOP_GRACE_SECONDS)),
  )
}
