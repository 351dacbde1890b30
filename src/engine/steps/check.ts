import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerState } from '../docker/docker.js'
import { DeployError } from '../errors.js'
import { cleanLine } from '../logs/lines.js'
import { Redactor } from '../logs/redactor.js'
import type { Tools, Work } from './context.js'

/** A container of the deployment and the port that it is to answer on. */
export interface Candidate {
  readonly container: string
  readonly port: number
}

/** The wait between probes grows from here … */
const FIRST_PROBE_MS = 5
/** … to here: an app that takes long is not asked more often than that. */
const SLOWEST_PROBE_MS = 250
/** Whether the container still runs is asked of the engine this often: it costs more than a probe. */
const INSPECT_MS = 100
const PROBE_TIMEOUT_MS = 1_000
const LAST_LINES = 100

/** Waits until the container accepts connections and gives its address. @throws DeployError as {@link start} says */
export async function untilAnswers(
  work: Work,
  candidate: Candidate,
  tools: Tools,
  signal: AbortSignal,
): Promise<string> {
  const until = performance.now() + work.configuration.health.deadlineSeconds * 1000
  let address: string | null = null
  let inspectedAt = -Infinity
  for (let waitMs = FIRST_PROBE_MS; ; waitMs = Math.min(waitMs * 2, SLOWEST_PROBE_MS)) {
    if (performance.now() - inspectedAt > INSPECT_MS) {
      const state = await tools.docker.findContainer(candidate.container)
      if (!state?.running) throw await ended(work, candidate, state, tools)
      address = state.address
      inspectedAt = performance.now()
    }
    if (address !== null && (await accepts(address, candidate.port))) return address
    if (performance.now() > until) throw await unhealthy(work, candidate, tools)
    await sleep(waitMs, undefined, { signal })
  }
}

/** Whether something accepts TCP connections there. */
export function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: PROBE_TIMEOUT_MS })
    const finish = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => finish(true))
    socket.once('timeout', () => finish(false))
    socket.once('error', () => finish(false))
  })
}

async function ended(
  work: Work,
  candidate: Candidate,
  state: ContainerState | null,
  tools: Tools,
): Promise<DeployError> {
  const lastLines = await readLastLines(work, candidate, tools)
  const exitCode = state?.exitCode ?? null
  if (state?.outOfMemory) {
    const mebibytes = Math.round(work.configuration.memoryBytes / 1024 / 1024)
    const message = `the container was killed because it used more than its ${mebibytes} MiB of memory: raise the stage's limit`
    return new DeployError('OUT_OF_MEMORY', message, { exitCode, lastLines })
  }
  const message = `the container ended with exit code ${exitCode ?? 'unknown'} before it answered; see its last lines`
  return new DeployError('EXITED', message, { exitCode, lastLines })
}

async function unhealthy(work: Work, candidate: Candidate, tools: Tools): Promise<DeployError> {
  const { port } = candidate
  const seconds = work.configuration.health.deadlineSeconds
  const message = `no answer on port ${port} after ${seconds} s; does the app listen on 0.0.0.0:${port}? EXPOSE its port in the Dockerfile, or listen on $PORT`
  return new DeployError('UNHEALTHY', message, { lastLines: await readLastLines(work, candidate, tools) })
}

async function readLastLines(work: Work, { container }: Candidate, tools: Tools): Promise<string[]> {
  const lines = await tools.docker.lastLines(container, LAST_LINES)
  const redactor = new Redactor([...work.variables.values()])
  const bytes = Buffer.concat([redactor.write(Buffer.from(lines.join('\n'))), redactor.flush()])
  const text = bytes.toString('utf8')
  const clean = text === '' ? [] : text.split('\n').map(cleanLine)
  for (const line of clean) work.log.system(`| ${line}`)
  return clean
}
