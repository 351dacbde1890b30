import type { ContainerState } from '../docker/docker.js'
import type { Listening } from '../docker/listening.js'
import { describeExit } from '../docker/container-exit.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { cleanLines } from '../logs/lines.js'
import type { Services } from '../services.js'
import type { Probe, ProbeResult } from '../traffic/health.js'
import type { DeploymentRun } from './deployment-run.js'
import { isOnlyInside, listeningHint, onlyInside } from './listening-hint.js'

/** A container of the deployment and the port that it is to answer on. */
export interface Candidate {
  readonly container: string
  readonly port: number
}

/** What it listens on is looked at this often while it does not answer. */
const LOOK_MS = 1_500
const LAST_LINES = 100
/** Of what an image's check wrote, in an error. */
const MAX_OUTPUT_LINES = 3
const MAX_OUTPUT = 300

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
  const message = `the container ended with exit code ${exitCode ?? 'unknown'} during its check; see its last lines`
  return new DeployError('EXITED', message, { exitCode, lastLines })
}

/** Of one that is not healthy in time, or whose own check has given up. */
export async function unhealthyError(
  run: DeploymentRun,
  candidate: Candidate & { readonly probe: Probe; readonly result: ProbeResult; readonly after: string },
  services: Services,
): Promise<DeployError> {
  const { port, probe, result, after } = candidate
  const hint =
    probe.kind === 'image'
      ? quoteOutput(run, result)
      : listeningHint(await listeningOn(candidate, services, run.signal), port)
  const message = `the container is not healthy${after}: ${result.why || `port ${port} did not stay open`}${hint}`
  return new DeployError('UNHEALTHY', message, { lastLines: await readLastLines(run, candidate, services) })
}

/** Looks every now and then whether an app that does not answer listens where nothing outside its container reaches it. */
export class ReachCheck {
  #lookedAt = performance.now()
  #wasOnlyInside = false

  constructor(
    private readonly run: DeploymentRun,
    private readonly candidate: Candidate,
    private readonly services: Services,
  ) {}

  /** @throws DeployError UNHEALTHY when it was so twice in a row: it will not change */
  async assert(): Promise<void> {
    if (performance.now() - this.#lookedAt < LOOK_MS) return
    const { run, candidate, services } = this
    const listening = await listeningOn(candidate, services, run.signal)
    this.#lookedAt = performance.now()
    if (listening === null || !isOnlyInside(listening, candidate.port)) this.#wasOnlyInside = false
    else if (!this.#wasOnlyInside) this.#wasOnlyInside = true
    else {
      const message = `the container cannot be reached: ${onlyInside(listening, candidate.port)}`
      const lastLines = await readLastLines(run, candidate, services)
      throw new DeployError('UNHEALTHY', message, { lastLines })
    }
  }
}

/** The end of what the image's check wrote, in one line. */
function quoteOutput({ log }: DeploymentRun, { output = '' }: ProbeResult): string {
  const lines = cleanLines(output.split(/\r?\n/), (text) => log.mask(text)).filter(
    (line) => line.trim() !== '',
  )
  const text = lines.slice(-MAX_OUTPUT_LINES).join(' / ')
  return text === '' ? '' : `: ${text.length > MAX_OUTPUT ? `${text.slice(0, MAX_OUTPUT)}…` : text}`
}

function listeningOn(
  { container }: Candidate,
  { docker }: Services,
  signal: AbortSignal,
): Promise<Listening[] | null> {
  return docker.listeningOn(container, signal).catch(() => null)
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
