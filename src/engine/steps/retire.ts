import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../logs/store.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'
import { KEPT_FOR_RETURN } from '../states.js'
import { step, type Tools } from './context.js'
import type { Replaced } from './route.js'

const LOOK_MS = 50
/** Between SIGTERM and SIGKILL. */
export const STOP_GRACE_SECONDS = 10
/** From the database's word that it may be stopped: after this its containers may be wanted again. */
const STOP_WITHIN_SECONDS = 2

/**
 * SQL that says of a RETIRED deployment `d` that somebody is about to stop its containers, or to make them run again, and
 * that nobody else may. It ends by itself.
 */
export const RESERVED = 'd.addresses IS NULL AND coalesce(d.drain_until > now(), false)'

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
  await step(tools, 'drain', async () => {
    while (tools.router.inFlight(deploymentId) !== 0 && performance.now() < until) {
      await sleep(LOOK_MS, undefined, { signal })
    }
  })
  const stopBefore = performance.now() + STOP_WITHIN_SECONDS * 1000
  const taken = await takeAddresses(tools.database, deploymentId)
  if (!taken) return
  tools.wakeups.notify('route', deploymentId)
  const containers = await tools.docker.listContainers(`${DEPLOYMENT_LABEL}=${deploymentId}`)
  // Too late to be sure that nobody wants them again: the reconciler begins anew.
  if (performance.now() > stopBefore) return tools.wakeups.notify('stage', deploymentId)
  await step(tools, 'stop', () => Promise.all(containers.map(({ name }) => end(name, taken.kept, tools))))
  await release(tools.database, deploymentId, taken.until)
}

/** On the monotonic clock of this process; null when it is not RETIRED any more, or somebody else is at it. */
async function drainDeadline(database: Queryable, deploymentId: string): Promise<number | null> {
  const [row] = await database.query<{ left: number | null }[]>(
    `SELECT extract(epoch FROM drain_until - now())::float8 * 1000 AS left
       FROM deployment d WHERE id = $1 AND status = 'RETIRED' AND NOT (${RESERVED})`,
    [deploymentId],
  )
  return row ? performance.now() + (row.left ?? 0) : null
}

interface Taken {
  readonly kept: boolean
  /** How long nobody else touches the containers. */
  readonly until: string
}

/** Null: it serves again, or somebody else is at it, and it is not to be touched. */
async function takeAddresses(database: Queryable, deploymentId: string): Promise<Taken | null> {
  const [rows] = await database.query<[Taken[], number]>(
    `UPDATE deployment d SET addresses = NULL, drain_until = now() + make_interval(secs => $2)
      WHERE id = $1 AND status = 'RETIRED' AND NOT (${RESERVED})
     RETURNING ${KEPT_FOR_RETURN} AS kept, drain_until::text AS until`,
    [deploymentId, STOP_WITHIN_SECONDS],
  )
  return rows[0] ?? null
}

function end(name: string, kept: boolean, { docker }: Tools): Promise<void> {
  return kept
    ? docker.stopContainer(name, STOP_GRACE_SECONDS)
    : docker.removeContainer(name, STOP_GRACE_SECONDS)
}

/** Stopped: traffic may come back at once. */
async function release(database: Queryable, deploymentId: string, until: string): Promise<void> {
  await database.query(
    `UPDATE deployment SET drain_until = NULL
      WHERE id = $1 AND status = 'RETIRED' AND addresses IS NULL AND drain_until = $2::timestamptz`,
    [deploymentId, until],
  )
}
