import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../sql/queryable.js'
import { MAY_STOP, release, reserveForStop, STOP_WITHIN_SECONDS } from './reservation.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'
import { step, type Services } from '../services.js'
import type { Replaced } from './switch.js'

const POLL_MS = 50
/** Between SIGTERM and SIGKILL. */
export const STOP_GRACE_SECONDS = 10

/**
 * Lets requests that are under way end, at most until `drain_until`, then stops the containers of a RETIRED deployment,
 * and removes them unless an automatic rollback may still need them. New requests do not reach them: the stage's traffic has
 * moved, and the deployment's own host goes with this. While the router is known not to have followed they stay: until it
 * has, or the deployment is rolled back. Whoever calls this again after a crash goes on with the stored deadline.
 */
export async function retire(
  replaced: Replaced,
  services: Services,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const { deploymentId } = replaced
  const drain = await readDrain(services.database, deploymentId)
  if (!drain) return
  await step(services, 'drain', () => untilDrained({ deploymentId, until: drain.until }, services, signal))
  if (await stillGetsRequests(drain, services)) return
  const stopBefore = performance.now() + STOP_WITHIN_SECONDS * 1000
  const reservation = await reserveForStop(services.database, deploymentId)
  if (!reservation) return
  services.wakeups.trafficMoved(drain.stageId)
  const containers = await services.docker.listContainers(`${DEPLOYMENT_LABEL}=${deploymentId}`)
  // Too late to be sure that nobody wants them again: the reconciler begins anew.
  if (performance.now() > stopBefore) return services.wakeups.stageChanged(drain.stageId)
  await step(services, 'stop', () =>
    Promise.all(containers.map(({ name }) => stopOrRemove(name, reservation.kept, services))),
  )
  await release(services.database, deploymentId, reservation.until)
}

/** Waits until nothing is under way at a deployment that gets no new requests, at most until then on the monotonic clock. */
export async function untilDrained(
  { deploymentId, until }: { readonly deploymentId: string; readonly until: number },
  { router }: Services,
  signal: AbortSignal,
): Promise<void> {
  while (router.inFlight(deploymentId) !== 0 && performance.now() < until)
    await sleep(POLL_MS, undefined, { signal })
}

interface Drain {
  /** On the monotonic clock of this process. */
  readonly until: number
  readonly stageId: string
  /** What the stage's traffic goes to now; null: it is stopped. */
  readonly successor: string | null
}

/** Null when it is not RETIRED any more, traffic goes to it again, or somebody else is at it. */
async function readDrain(database: Queryable, deploymentId: string): Promise<Drain | null> {
  const [row] = await database.query<(Omit<Drain, 'until'> & { left: number | null })[]>(
    `SELECT extract(epoch FROM drain_until - now())::float8 * 1000 AS left, d.stage_id AS "stageId",
            CASE WHEN NOT st.stopped THEN st.current_deployment_id END AS successor
       FROM deployment d JOIN stage st ON st.id = d.stage_id WHERE d.id = $1 AND ${MAY_STOP}`,
    [deploymentId],
  )
  return row ? { ...row, until: performance.now() + (row.left ?? 0) } : null
}

/** The router says that it does not follow yet. The reconciler comes back, unless the watcher rolls back first. */
async function stillGetsRequests({ stageId, successor }: Drain, { router }: Services): Promise<boolean> {
  if (successor === null || (await router.isRoutedTo(stageId, successor)) !== false) return false
  await router.apply().catch(() => undefined)
  return (await router.isRoutedTo(stageId, successor)) === false
}

function stopOrRemove(name: string, kept: boolean, { docker }: Services): Promise<void> {
  return kept
    ? docker.stopContainer(name, STOP_GRACE_SECONDS)
    : docker.removeContainer(name, STOP_GRACE_SECONDS)
}
