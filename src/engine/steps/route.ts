import { setTimeout as sleep } from 'node:timers/promises'
import { NETWORK } from '../docker/docker.js'
import { DeployError } from '../errors.js'
import { containerName, stageUrl } from '../addresses.js'
import { step, type Services } from '../services.js'
import { type Replaced, switchToNext } from '../traffic/switch.js'
import type { Healthy } from './check.js'
import { ensureAlive } from './failed-check.js'
import type { DeploymentRun } from './deployment-run.js'

const ROUTER_POLL_MS = 100
/** An app that has not answered through the router after this is slow, but it was reached. */
const PROBE_MS = 2_000

/**
 * Moves the stage's traffic to healthy containers. First the deployment's own host has to lead to them through the
 * router; then, in one transaction, the deployment becomes RUNNING and the one before it RETIRED. From the commit on this
 * deployment serves, whatever dies. Until the routers have followed, users see it as ROUTING, and its log is open.
 *
 * @returns the deployment that served before, or null
 * @throws DeployError ROUTER_UNREACHABLE: the router does not get through to it; EXITED, OUT_OF_MEMORY: it has ended
 * meanwhile. Nothing was changed
 * @throws LostClaimError when the claim is lost or is about to end: nothing was changed
 * @throws CancelledError when it was to be cancelled before the commit
 */
export async function route(
  run: DeploymentRun,
  healthy: Healthy,
  services: Services,
): Promise<Replaced | null> {
  const { docker, database, settings, wakeups } = services
  run.signal.throwIfAborted()
  await Promise.all([
    step(services, 'probe', () => untilProbed(run, healthy, services)),
    step(services, 'keep-running', () =>
      Promise.all(healthy.containers.map((name) => docker.keepRunning(name, run.signal))),
    ),
  ])
  const url = stageUrl(run.app.name, run.stage.name, settings)
  const next = {
    claim: run.claim,
    stageId: run.stage.id,
    url,
    overflowTail: await run.log.overflowTail(),
  }
  const replaced = await step(services, 'switch', () =>
    database.transaction((manager) => switchToNext(manager, next, settings)),
  )
  if (replaced) wakeups.deploymentSettled(replaced.deploymentId)
  wakeups.watchBegan(run.deployment.id)
  return replaced
}

/** The address was recorded before: the router shows the deployment's own host. */
async function untilProbed(
  run: DeploymentRun,
  { containers, addresses, port }: Healthy,
  services: Services,
): Promise<void> {
  const host = `${containerName(run.app.name, run.deployment.id)}.${services.settings.baseDomain}`
  const path = run.configuration.health.path ?? '/'
  const request = { host, path, timeoutMs: PROBE_MS, addresses, port }
  const until = performance.now() + services.settings.confirmMs
  services.wakeups.trafficMoved(run.stage.id)
  for (;;) {
    await services.router.apply().catch(() => undefined)
    if (await services.router.probe(request)) return
    // One that has ended meanwhile is told as that.
    for (const container of containers) await ensureAlive(run, { container, port }, services)
    if (performance.now() > until) {
      const message = `the router cannot reach ${host} although the container answers: ${advice(services)}`
      throw new DeployError('ROUTER_UNREACHABLE', message)
    }
    await sleep(ROUTER_POLL_MS, undefined, { signal: run.signal })
  }
}

function advice({ settings: { router } }: Services): string {
  const logs = "see the server's log and the router's"
  return router.startsWith('traefik') ? `is Traefik on the Docker network "${NETWORK}"? If so, ${logs}` : logs
}
