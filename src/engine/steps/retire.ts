import { setTimeout as sleep } from 'node:timers/promises'
import type { Tools } from './context.js'
import type { Replaced } from './route.js'

const LOOK_MS = 50
/** Between SIGTERM and SIGKILL. */
const STOP_GRACE_SECONDS = 10

/**
 * Lets requests that are under way end, at most `drainMs`, then stops and removes the container. New requests do not
 * reach it: its stage's traffic has moved, and its own host goes with this.
 */
export async function retire(replaced: Replaced, tools: Tools, signal: AbortSignal): Promise<void> {
  const until = performance.now() + tools.settings.drainMs
  while (tools.inFlight(replaced.deploymentId) > 0 && performance.now() < until) {
    await sleep(LOOK_MS, undefined, { signal })
  }
  await tools.database.query('UPDATE deployment SET address = NULL WHERE id = $1', [replaced.deploymentId])
  tools.wakeups.notify('route', replaced.deploymentId)
  await tools.docker.removeContainer(replaced.container, STOP_GRACE_SECONDS)
}
