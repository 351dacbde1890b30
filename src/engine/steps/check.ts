import { setTimeout as sleep } from 'node:timers/promises'
import { DeploymentStatus } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { stageUrl } from '../addresses.js'
import type { ContainerState } from '../docker/docker.js'
import { LostClaimError } from '../errors.js'
import { outOfResources } from '../resource-exhaustion.js'
import { step, type Services } from '../services.js'
import { EarlyCheck } from '../traffic/early-check.js'
import { chooseProbe, type Probe, runProbe } from '../traffic/health.js'
import { choosePort } from './choose-port.js'
import type { DeploymentRun } from './deployment-run.js'
import { type Candidate, ensureAlive, ReachCheck, unhealthyError } from './failed-check.js'
import { mapAbortingOthers, type Started } from './start.js'

/** Containers that answer. */
export interface Healthy extends Started {
  readonly addresses: readonly string[]
}

/** Until it answers for the first time it is asked often, and then less and less: from here … */
const FIRST_PROBE_MS = 5
/** … to here, or the stage's interval if that is shorter. */
const SLOWEST_PROBE_MS = 250
/** An image's check costs the engine a process each time. */
const SLOWEST_OWN_CHECK_MS = 2_000
/** As long as a stage may set. */
const MAX_DEADLINE_SECONDS = 3_600
/** Whether the container still runs is asked of the engine this often: it costs more than a probe. */
const INSPECT_MS = 100
const STABLE_MS = 3_000

/**
 * Waits until all containers are healthy, and writes down where they answer.
 *
 * @throws DeployError EXITED, OUT_OF_MEMORY, UNHEALTHY with the container's last lines
 */
export async function check(run: DeploymentRun, started: Started, services: Services): Promise<Healthy> {
  const { containers } = started
  const stableMs = await stableFor(run, services)
  const startedAt = performance.now()
  const port = await portOf(run, started, services)
  const addresses = await step(services, 'check', () =>
    mapAbortingOthers(containers, run.signal, (container, signal) =>
      untilHealthy({ ...run, signal }, { container, port, stableMs, startedAt }, services),
    ),
  )
  await step(services, 'record', async () => {
    const { deploymentId: id, epoch } = run.claim
    const result = await services.database
      .getRepository(Deployment)
      .update({ id, epoch }, { container: containers[0], addresses, port })
    if (result.affected === 0) throw new LostClaimError(id)
  })
  return { ...started, port, addresses }
}

/** The port that was set, or else the one that the app answers on. */
async function portOf(
  run: DeploymentRun,
  { containers: [container = ''], port, guessed }: Started,
  services: Services,
): Promise<number> {
  // Traefik has read the port in the container's labels.
  if (!guessed || services.settings.router === 'traefik-labels') return port
  const until = performance.now() + run.configuration.health.deadlineSeconds * 1000
  const addressOf = async () => (await ensureAlive(run, { container, port }, services)).address
  const chosen = await choosePort(run, { guessed, container, until, addressOf }, services)
  run.log.system(chosen === port ? `Using port ${chosen}` : `It answers on port ${chosen}: using that`)
  return chosen
}

/** How long it has to stay healthy: while nothing serves yet, nothing can be made worse by going on. */
async function stableFor({ configuration, stage }: DeploymentRun, services: Services): Promise<number> {
  const { stableSeconds } = configuration.health
  if (stableSeconds !== null) return stableSeconds * 1000
  const serving = { stageId: stage.id, status: DeploymentStatus.RUNNING }
  return (await services.database.getRepository(Deployment).existsBy(serving)) ? STABLE_MS : 0
}

/**
 * Waits until the container is healthy, and has been for as long as the stage asks (`stableSeconds`). Gives its address.
 *
 * @throws DeployError EXITED, OUT_OF_MEMORY, UNHEALTHY: at once when it ended, was killed or restarted, or when its own
 * check gave up; else at the deadline. Carries its last lines, and the log what it listens on instead.
 * @throws InfrastructureError OUT_OF_RESOURCES at the deadline, when this process could not always ask
 */
async function untilHealthy(
  run: DeploymentRun,
  candidate: Candidate & { readonly stableMs: number; readonly startedAt: number },
  services: Services,
): Promise<string> {
  const { signal } = run
  const { stableMs, startedAt, port } = candidate
  const { health } = run.configuration
  const probing = { port, timeoutMs: health.timeoutSeconds * 1000, signal }
  let state = await ensureAlive(run, candidate, services)
  let inspectedAt = performance.now()
  const probe = chooseProbe(health, state, {
    url: stageUrl(run.app.name, run.stage.name, services.settings),
    runEarly: new EarlyCheck(candidate.container, services.docker),
  })
  const patience = patienceFor(probe, run, state)
  const deadline = startedAt + patience.seconds * 1000
  const slowestMs = probe.kind === 'image' ? SLOWEST_OWN_CHECK_MS : SLOWEST_PROBE_MS
  const reach = new ReachCheck(run, candidate, services)
  let healthySince: number | null = null
  let lacking: string | null = null
  for (let waitMs = FIRST_PROBE_MS; ; waitMs = Math.min(waitMs * 2, slowestMs)) {
    const result = await runProbe(probe, state, probing)
    if (!result.hasRun) lacking = result.why
    const now = performance.now()
    healthySince = result.isHealthy ? (healthySince ?? now) : null
    if (healthySince !== null && now - healthySince >= stableMs && state.address !== null)
      return state.address
    if (result.hasGivenUp)
      throw await unhealthyError(run, { ...candidate, probe, result, after: '' }, services)
    if (healthySince === null && probe.kind !== 'image') await reach.assert()
    if (now > deadline + (healthySince === null ? 0 : stableMs)) {
      await ensureAlive(run, candidate, services) // one that has just ended is told as that
      if (lacking !== null) throw outOfResources(`the container could not be probed: ${lacking}`)
      throw await unhealthyError(run, { ...candidate, probe, result, after: patience.text }, services)
    }
    const pauseMs = healthySince === null ? waitMs : Math.min(health.intervalSeconds * 1000, stableMs)
    await sleep(pauseMs, undefined, { signal })
    if (healthySince !== null || performance.now() - inspectedAt > INSPECT_MS) {
      state = await ensureAlive(run, candidate, services)
      inspectedAt = performance.now()
    }
  }
}

/** How long it has to become healthy: as the stage says, or longer where the image's own check takes longer to judge. */
function patienceFor(
  probe: Probe,
  { configuration: { health } }: DeploymentRun,
  { healthCheck }: ContainerState,
): { readonly seconds: number; readonly text: string } {
  const own = probe.kind === 'image' ? healthCheck : null
  const ownMs = own ? own.startPeriodMs + own.intervalMs * own.retries : 0
  const ownSeconds = Math.min(Math.ceil(ownMs / 1000), MAX_DEADLINE_SECONDS)
  if (own === null || ownSeconds <= health.deadlineSeconds)
    return { seconds: health.deadlineSeconds, text: ` after ${health.deadlineSeconds} s` }
  const startPeriod = own.startPeriodMs > 0 ? ` and a start period of ${own.startPeriodMs / 1000} s` : ''
  const text = ` after ${ownSeconds} s (its HEALTHCHECK: ${own.retries} times ${own.intervalMs / 1000} s${startPeriod}; longer than the stage's deadline of ${health.deadlineSeconds} s)`
  return { seconds: ownSeconds, text }
}
