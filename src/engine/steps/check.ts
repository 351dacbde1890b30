import { setTimeout as sleep } from 'node:timers/promises'
import { DeploymentStatus } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import type { ContainerState } from '../docker/docker.js'
import { describeExit } from '../docker/container-exit.js'
import { DeployError, InfrastructureError, LostClaimError } from '../errors.js'
import { startAdvice } from '../docker/start-failures.js'
import { cleanLines } from '../logs/lines.js'
import { outOfResources } from '../resource-exhaustion.js'
import { step, type Services } from '../services.js'
import { runProbe, chooseProbe, type ProbeResult, type Probe } from '../traffic/health.js'
import type { DeploymentRun } from './deployment-run.js'
import { mapAbortingOthers, type Started } from './start.js'

/** Containers that answer. */
export interface Healthy extends Started {
  readonly addresses: readonly string[]
}

/** A container of the deployment and the port that it is to answer on. */
export interface Candidate {
  readonly container: string
  readonly port: number
}

/** Until it answers for the first time it is asked often, and then less and less: from here … */
const FIRST_PROBE_MS = 5
/** … to here, or the stage's interval if that is shorter. */
const SLOWEST_PROBE_MS = 250
/** Whether the container still runs is asked of the engine this often: it costs more than a probe. */
const INSPECT_MS = 100
const LAST_LINES = 100
const STABLE_MS = 3_000

/**
 * Waits until all containers are healthy, and writes down where they answer.
 *
 * @throws DeployError EXITED, OUT_OF_MEMORY, UNHEALTHY with the container's last lines
 */
export async function check(run: DeploymentRun, started: Started, services: Services): Promise<Healthy> {
  const { containers, port } = started
  const stableMs = await stableFor(run, services)
  const addresses = await step(services, 'check', () =>
    mapAbortingOthers(containers, run.signal, (container, signal) =>
      untilHealthy({ ...run, signal }, { container, port, stableMs }, services),
    ),
  )
  await step(services, 'record', async () => {
    const { deploymentId: id, epoch } = run.claim
    const result = await services.database
      .getRepository(Deployment)
      .update({ id, epoch }, { container: containers[0], addresses, port })
    if (result.affected === 0) throw new LostClaimError(id)
  })
  return { ...started, addresses }
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
  candidate: Candidate & { readonly stableMs: number },
  services: Services,
): Promise<string> {
  const { signal } = run
  const { stableMs } = candidate
  const { health } = run.configuration
  const deadline = performance.now() + health.deadlineSeconds * 1000
  let state = await ensureAlive(run, candidate, services)
  let inspectedAt = performance.now()
  const probe = chooseProbe(health, state)
  let healthySince: number | null = null
  let lacking: string | null = null
  for (let waitMs = FIRST_PROBE_MS; ; waitMs = Math.min(waitMs * 2, SLOWEST_PROBE_MS)) {
    const result = await runProbe(probe, state, {
      port: candidate.port,
      timeoutMs: health.timeoutSeconds * 1000,
      signal,
    })
    if (!result.hasRun) lacking = result.why
    const now = performance.now()
    healthySince = result.isHealthy ? (healthySince ?? now) : null
    if (healthySince !== null && now - healthySince >= stableMs && state.address !== null)
      return state.address
    if (result.hasGivenUp) throw await unhealthyError(run, { ...candidate, probe, result }, services)
    if (now > deadline + (healthySince === null ? 0 : stableMs)) {
      await ensureAlive(run, candidate, services) // one that has just ended is told as that
      if (lacking !== null) throw outOfResources(`the container could not be probed: ${lacking}`)
      throw await unhealthyError(run, { ...candidate, probe, result }, services)
    }
    const pauseMs = healthySince === null ? waitMs : Math.min(health.intervalSeconds * 1000, stableMs)
    await sleep(pauseMs, undefined, { signal })
    if (healthySince !== null || performance.now() - inspectedAt > INSPECT_MS) {
      state = await ensureAlive(run, candidate, services)
      inspectedAt = performance.now()
    }
  }
}

/** @throws DeployError when it does not run, or had to be started again; InfrastructureError when somebody took it away */
export async function ensureAlive(
  run: DeploymentRun,
  candidate: Candidate,
  services: Services,
): Promise<ContainerState> {
  const state = await services.docker.findContainer(candidate.container, run.signal)
  if (!state)
    throw new InfrastructureError('CONTAINER_GONE', `the container ${candidate.container} was removed`)
  if (state.running && state.restarts === 0) return state
  throw await exitError(run, { ...candidate, state }, services)
}

async function exitError(
  run: DeploymentRun,
  candidate: Candidate & { readonly state: ContainerState },
  services: Services,
): Promise<DeployError> {
  const { state } = candidate
  const lastLines = await readLastLines(run, candidate, services)
  const { code, exitCode } = await describeExit(candidate.container, state, services.docker)
  if (code === 'OUT_OF_MEMORY') {
    const mebibytes = Math.round(run.configuration.memoryBytes / 1024 / 1024)
    const message = `the container was killed because it used more than its ${mebibytes} MiB of memory (OOM): raise the stage's limit`
    return new DeployError('OUT_OF_MEMORY', message, { exitCode, lastLines })
  }
  const advice = startAdvice(...(await services.docker.lastLines(candidate.container, LAST_LINES)))
  const message = `the container ended with exit code ${exitCode ?? 'unknown'} during its check; see its last lines${advice}`
  return new DeployError('EXITED', message, { exitCode, lastLines })
}

async function unhealthyError(
  run: DeploymentRun,
  candidate: Candidate & { readonly probe: Probe; readonly result: ProbeResult },
  services: Services,
): Promise<DeployError> {
  const { port, probe, result } = candidate
  const hint = probe.kind === 'image' ? '' : await listeningHint(candidate, services)
  const until = result.hasGivenUp ? '' : ` after ${run.configuration.health.deadlineSeconds} s`
  const message = `the container is not healthy${until}: ${result.why || `port ${port} did not stay open`}${hint}`
  return new DeployError('UNHEALTHY', message, { lastLines: await readLastLines(run, candidate, services) })
}

/** What the container listens on instead; most often another port, or only itself. */
async function listeningHint({ container, port }: Candidate, services: Services): Promise<string> {
  const listening = await services.docker.listeningOn(container).catch(() => null)
  const advice = `set the app's port, EXPOSE it in the Dockerfile, or listen on $PORT (${port})`
  if (listening === null) return `; does it listen on 0.0.0.0:${port}? Otherwise ${advice}`
  if (listening.length === 0) return `; it listens on no port at all: ${advice}`
  const places = listening.map((one) => `${one.host}:${one.port}`).join(', ')
  const onlyItself = listening.find((one) => one.port === port && one.isLoopback)
  if (onlyItself) return `; it listens on ${onlyItself.host}:${port}, must be 0.0.0.0:${port}`
  return `; it listens on ${places}: ${advice}`
}

async function readLastLines(
  run: DeploymentRun,
  { container }: Candidate,
  services: Services,
): Promise<string[]> {
  const lines = await services.docker.lastLines(container, LAST_LINES)
  const clean = cleanLines(lines, (text) => run.log.mask(text))
  for (const line of clean) run.log.system(`| ${line}`)
  return clean
}
