import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../logs/store.js'
import { MAY_STOP, release, reserveForStop, STOP_WITHIN_SECONDS } from '../reservation.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'
import { step, type Tools } from './context.js'
import type { Replaced } from './route.js'

const LOOK_MS = 50
/** Between SIGTERM and SIGKILL. */
export const STOP_GRACE_SECONDS = 10
/**
 * Lets requests that are under way end, at most until `drain_until`, then stops the containers of a RETIRED deployment,
 * and removes them unless traffic may still come back to them. New requests do not reach them: the stage's traffic has
 * moved, and the deployment's own host goes with this. Whoever calls this again after a crash goes on with the stored
 * deadline.
 */
export async function retire(
  replaced: Replaced,
  tools: Tools,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const { deploymentId } = replaced
  const until = await drainDeadline(tools.database, deploymentId)
  if (until === null) return
  await step(tools, 'drain', () => untilDrained(deploymentId, until, tools, signal))
  const stopBefore = performance.now() + STOP_WITHIN_SECONDS * 1000
  const taken = await reserveForStop(tools.database, deploymentId)
  if (!taken) return
  tools.wakeups.notify('route', deploymentId)
  const containers = await tools.docker.listContainers(`${DEPLOYMENT_LABEL}=${deploymentId}`)
  // Too late to be sure that nobody wants them again: the reconciler begins anew.
  if (performance.now() > stopBefore) return tools.wakeups.notify('stage', deploymentId)
  await step(tools, 'stop', () => Promise.all(containers.map(({ name }) => end(name, taken.kept, tools))))
  await release(tools.database, deploymentId, taken.until)
}

/** Waits until nothing is under way at a deployment that gets no new requests, at most until then on the monotonic clock. */
export async function untilDrained(
  deploymentId: string,
  until: number,
  { router }: Tools,
  signal: AbortSignal,
): Promise<void> {
  while (router.inFlight(deploymentId) !== 0 && performance.now() < until)
    await sleep(LOOK_MS, undefined, { signal })
}

/** On the monotonic clock of this process; null when it is not RETIRED any more, is wanted again, or somebody else is at it. */
async function drainDeadline(database: Queryable, deploymentId: string): Promise<number | null> {
  const [row] = await database.query<{ left: number | null }[]>(
    `SELECT extract(epoch FROM drain_until - now())::float8 * 1000 AS left
       FROM deployment d WHERE id = $1 AND ${MAY_STOP}`,
    [deploymentId],
  )
  return row ? performance.now() + (row.left ?? 0) : null
}

function end(name: string, kept: boolean, { docker }: Tools): Promise<void> {
  return kept
    ? docker.stopContainer(name, STOP_GRACE_SECONDS)
    : docker.removeContainer(name, STOP_GRACE_SECONDS)
}
