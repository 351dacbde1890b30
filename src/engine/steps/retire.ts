import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../logs/store.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'
import { KEPT_FOR_RETURN } from '../states.js'
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
  const until = await drainDeadline(tools.database, replaced.deploymentId)
  if (until === null) return
  await step(tools, 'drain', async () => {
    while (tools.router.inFlight(replaced.deploymentId) !== 0 && performance.now() < until) {
      await sleep(LOOK_MS, undefined, { signal })
    }
  })
  const taken = await takeAddresses(tools.database, replaced.deploymentId)
  if (!taken) return
  tools.wakeups.notify('route', replaced.deploymentId)
  await step(tools, 'stop', () =>
    eachContainer(replaced.deploymentId, tools, (name) =>
      taken.kept
        ? tools.docker.stopContainer(name, STOP_GRACE_SECONDS)
        : tools.docker.removeContainer(name, STOP_GRACE_SECONDS),
    ),
  )
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

/** Null: it serves again, and is not to be touched. */
async function takeAddresses(database: Queryable, deploymentId: string): Promise<{ kept: boolean } | null> {
  const [rows] = await database.query<[{ kept: boolean }[], number]>(
    `UPDATE deployment d SET addresses = NULL, drain_until = NULL WHERE id = $1 AND status = 'RETIRED'
     RETURNING ${KEPT_FOR_RETURN} AS kept`,
    [deploymentId],
  )
  return rows[0] ?? null
}

async function eachContainer(
  deploymentId: string,
  tools: Tools,
  work: (name: string) => Promise<void>,
): Promise<void> {
  const containers = await tools.docker.listContainers(`${DEPLOYMENT_LABEL}=${deploymentId}`)
  await Promise.all(containers.map(({ name }) => work(name)))
}
