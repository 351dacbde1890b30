import { setTimeout as sleep } from 'node:timers/promises'
import { DeploymentStatus } from '../../entities/deployment-status.js'
import { NETWORK } from '../docker/docker.js'
import { CancelledError, DeployError, LostClaimError } from '../errors.js'
import type { OverflowTail, Queryable } from '../logs/store.js'
import { containerName } from '../names.js'
import { announceSettled } from '../claims/queue.js'
import {
  announceHeld,
  appendOverflowTail,
  leaseMarginSeconds,
  NOW,
  recordEvent,
  transitionUnannounced,
} from '../states.js'
import { announceSwitch } from './announce.js'
import { ensureAlive } from './check.js'
import { step, type Services, type DeploymentRun } from './deployment-run.js'
import type { Started } from './start.js'

/** What served before, to be retired. */
export interface Replaced {
  readonly deploymentId: string
}

const ROUTER_POLL_MS = 100
/** An app that has not answered through the router after this is slow, but it was reached. */
const PROBE_MS = 2_000

/**
 * Moves the stage's traffic to the started containers. First the deployment's own host has to lead to them through the
 * router; then, in one transaction, the deployment becomes RUNNING, the one before it RETIRED, and the routing epoch
 * rises. From the commit on this deployment serves, whatever dies. It is announced when the routers have followed:
 * until then it is shown as ROUTING, and its log is open.
 *
 * @returns the deployment that served before, or null
 * @throws DeployError ROUTER_UNREACHABLE: the router does not get through to it; EXITED, OUT_OF_MEMORY: it has ended
 * meanwhile. Nothing was changed
 * @throws LostClaimError when the claim is lost or is about to end: nothing was changed
 * @throws CancelledError when it was to be cancelled before the commit
 */
export async function route(
  run: DeploymentRun,
  started: Started,
  services: Services,
  url: string,
  signal: AbortSignal,
): Promise<Replaced | null> {
  await Promise.all([
    step(services, 'probe', () => untilProbed(run, started, services, signal)),
    step(services, 'keep-running', () =>
      Promise.all(started.containers.map((name) => services.docker.keepRunning(name, signal))),
    ),
  ])
  const overflowTail = await run.log.overflowTail()
  const replaced = await step(services, 'switch', () =>
    services.database.transaction((manager) => switchTraffic(manager, run, overflowTail, services, url)),
  )
  // Committed: from here on nothing may fail the deployment.
  if (replaced) announceSettled(services.wakeups, replaced.deploymentId)
  services.wakeups.watchBegan(run.deployment.id)
  await announceSwitch(run.stage.id, services)
  return replaced
}

/** The address was recorded before: the router shows the deployment's own host. */
async function untilProbed(
  run: DeploymentRun,
  { containers, addresses, port }: Started,
  services: Services,
  signal: AbortSignal,
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
    for (const container of containers) await ensureAlive(run, { container, port }, services, signal)
    if (performance.now() > until) {
      const message = `the router does not get through to ${host} although the container answers: ${advice(services)}`
      throw new DeployError('ROUTER_UNREACHABLE', message)
    }
    await sleep(ROUTER_POLL_MS, undefined, { signal })
  }
}

function advice({ settings: { router } }: Services): string {
  const logs = "see the server's log and the router's"
  return router.startsWith('traefik') ? `is Traefik on the Docker network "${NETWORK}"? If so, ${logs}` : logs
}

async function switchTraffic(
  manager: Queryable,
  run: DeploymentRun,
  overflowTail: OverflowTail,
  services: Services,
  url: string,
): Promise<Replaced | null> {
  const { claim, deployment, stage } = run
  await manager.query('SELECT id FROM stage WHERE id = $1 FOR NO KEY UPDATE', [stage.id])
  await assertClaim(manager, run, services.settings.leaseMs)
  const old = await retireServing(
    manager,
    stage.id,
    `replaced by ${deployment.id}`,
    services.settings.drainMs,
  )
  await pointStageTo(manager, stage.id, deployment.id, services.settings.confirmMs)
  await appendOverflowTail(manager, claim, overflowTail)
  await transitionUnannounced(manager, claim, DeploymentStatus.RUNNING, `Running at ${url}`, { live_at: NOW })
  const replaced = 'UPDATE deployment SET replaced_id = $2 WHERE id = $1'
  await manager.query(replaced, [deployment.id, old?.deploymentId ?? null])
  await watchFromNow(manager, deployment.id, services.settings.watchMs)
  return old
}

async function assertClaim(manager: Queryable, { claim }: DeploymentRun, leaseMs: number): Promise<void> {
  const [row] = await manager.query<{ cancelled: boolean; deleted: boolean }[]>(
    `SELECT d.cancel_requested_at IS NOT NULL AS cancelled, a.deleted_at IS NOT NULL AS deleted
       FROM deployment d JOIN app a ON a.id = d.app_id
      WHERE d.id = $1 AND d.epoch = $2 AND d.status = 'ROUTING'
        AND d.lease_until > now() + make_interval(secs => $3) FOR NO KEY UPDATE OF d`,
    [claim.deploymentId, claim.epoch, leaseMarginSeconds(leaseMs)],
  )
  if (!row) throw new LostClaimError(claim.deploymentId)
  if (row.cancelled || row.deleted) throw new CancelledError('cancelled')
}

/** By the database's clock, as everything that other processes go by. */
export async function watchFromNow(manager: Queryable, deploymentId: string, watchMs: number): Promise<void> {
  const sql = 'UPDATE deployment SET watch_until = now() + make_interval(secs => $2) WHERE id = $1'
  await manager.query(sql, [deploymentId, watchMs / 1000])
}

/**
 * Sends the stage's traffic to a deployment, in the caller's transaction, which holds the stage's row. What changes with
 * it is announced when the routers have followed, or have not within `confirmMs`.
 */
export async function pointStageTo(
  manager: Queryable,
  stageId: string,
  deploymentId: string,
  confirmMs: number,
): Promise<void> {
  await manager.query(
    `UPDATE stage SET current_deployment_id = $2, route_epoch = route_epoch + 1, stopped = false,
            confirm_until = now() + make_interval(secs => $3) WHERE id = $1`,
    [stageId, deploymentId, confirmMs / 1000],
  )
}

/**
 * What serves the stage is RETIRED, and may go on with what is under way until its drain ends. What has not been
 * announced yet is announced before: it has served.
 */
export async function retireServing(
  manager: Queryable,
  stageId: string,
  reason: string,
  drainMs: number,
): Promise<Replaced | null> {
  await announceHeld(manager, stageId)
  const [rows] = await manager.query<[{ id: string; epoch: number }[], number]>(
    `UPDATE deployment SET status = 'RETIRED', finished_at = now(), watch_until = NULL,
            drain_until = now() + make_interval(secs => $2)
      WHERE stage_id = $1 AND status = 'RUNNING' RETURNING id, epoch`,
    [stageId, drainMs / 1000],
  )
  const old = rows[0]
  if (!old) return null
  const claim = { deploymentId: old.id, epoch: old.epoch }
  await recordEvent(manager, claim, DeploymentStatus.RUNNING, DeploymentStatus.RETIRED, reason)
  return { deploymentId: old.id }
}
