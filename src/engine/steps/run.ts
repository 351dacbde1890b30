import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Deployment } from '../../entities/deployment.js'
import type { ContainerState, Image } from '../docker/docker.js'
import { DeployError, LostClaimError } from '../errors.js'
import { cleanLine } from '../logs/lines.js'
import { Redactor } from '../logs/redactor.js'
import { containerName } from '../names.js'
import { containerLabels } from '../routing/labels.js'
import type { Tools, Work } from './context.js'

/** A container that answers. */
export interface Started {
  readonly container: string
  readonly address: string
  readonly port: number
}

const DEFAULT_PORT = 80
/** The wait between probes grows from here … */
const FIRST_PROBE_MS = 5
/** … to here: an app that takes long is not asked more often than that. */
const SLOWEST_PROBE_MS = 250
const LAST_LINES = 100

/**
 * A container of the image, beside whatever serves now, that is up and accepts connections on its port.
 *
 * @throws DeployError EXITED, OUT_OF_MEMORY, UNHEALTHY with the container's last lines
 */
export async function run(work: Work, image: Image, tools: Tools, signal: AbortSignal): Promise<Started> {
  const { app, stage, deployment, variables, log } = work
  const container = containerName(app.name, deployment.id)
  const port = app.port ?? portOf(variables) ?? choosePort(image, log)
  const env = [...new Map([...variables, ['PORT', String(port)]])].map(([key, value]) => `${key}=${value}`)
  await tools.docker.startContainer(
    {
      name: container,
      image: image.id,
      env,
      labels: containerLabels({
        container,
        port,
        baseDomain: tools.settings.baseDomain,
        instanceId: tools.settings.instanceId,
        appId: app.id,
        deploymentId: deployment.id,
      }),
      memoryBytes: stage.memoryBytes,
      cpus: stage.cpus,
      pids: stage.pids,
    },
    signal,
  )
  log.system(`Started ${container}; waiting for an answer on port ${port}`)
  const address = await untilAnswers(work, container, port, tools, signal)
  const result = await tools.database
    .getRepository(Deployment)
    .update({ id: deployment.id, epoch: work.claim.epoch }, { container, address, port })
  if (result.affected === 0) throw new LostClaimError(deployment.id)
  return { container, address, port }
}

/** A variable PORT says where the app listens, as everywhere in the field. */
function portOf(variables: Work['variables']): number | null {
  const port = Number(variables.get('PORT') ?? Number.NaN)
  return Number.isInteger(port) && port >= 1 && port <= 65_535 ? port : null
}

/** The image's one exposed port; of several the usual one for the web; none: 80. */
function choosePort(image: Image, log: Work['log']): number {
  const ports = image.exposedPorts
  if (ports.length === 1 && ports[0]) return ports[0]
  const chosen = [80, 8080, 3000, 8000, 5000].find((port) => ports.includes(port)) ?? ports[0] ?? DEFAULT_PORT
  log.system(
    ports.length === 0
      ? `The image exposes no port (EXPOSE); taking ${chosen}`
      : `The image exposes ${ports.join(', ')}; taking ${chosen}`,
  )
  return chosen
}

async function untilAnswers(
  work: Work,
  container: string,
  port: number,
  tools: Tools,
  signal: AbortSignal,
): Promise<string> {
  const deadlineMs = work.stage.healthDeadlineSeconds * 1000
  const until = performance.now() + deadlineMs
  for (let waitMs = FIRST_PROBE_MS; ; waitMs = Math.min(waitMs * 2, SLOWEST_PROBE_MS)) {
    const state = await tools.docker.findContainer(container)
    if (!state?.running) throw await ended(work, container, state, tools)
    if (state.address && (await accepts(state.address, port))) return state.address
    if (performance.now() > until) throw await unhealthy(work, container, port, tools)
    await sleep(waitMs, undefined, { signal })
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 })
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
  container: string,
  state: ContainerState | null,
  tools: Tools,
): Promise<DeployError> {
  const lastLines = await readLastLines(work, container, tools)
  const exitCode = state?.exitCode ?? null
  if (state?.outOfMemory) {
    const mebibytes = Math.round(work.stage.memoryBytes / 1024 / 1024)
    const message = `the container was killed because it used more than its ${mebibytes} MiB of memory: raise the stage's limit`
    return new DeployError('OUT_OF_MEMORY', message, { exitCode, lastLines })
  }
  const message = `the container ended with exit code ${exitCode ?? 'unknown'} before it answered; see its last lines`
  return new DeployError('EXITED', message, { exitCode, lastLines })
}

async function unhealthy(work: Work, container: string, port: number, tools: Tools): Promise<DeployError> {
  const seconds = work.stage.healthDeadlineSeconds
  const message = `no answer on port ${port} after ${seconds} s; does the app listen on 0.0.0.0:${port}? EXPOSE its port in the Dockerfile, or listen on $PORT`
  return new DeployError('UNHEALTHY', message, { lastLines: await readLastLines(work, container, tools) })
}

async function readLastLines(work: Work, container: string, tools: Tools): Promise<string[]> {
  const lines = await tools.docker.lastLines(container, LAST_LINES)
  const redactor = new Redactor([...work.variables.values()])
  const text = Buffer.concat([redactor.write(Buffer.from(lines.join('\n'))), redactor.flush()]).toString(
    'utf8',
  )
  const clean = text === '' ? [] : text.split('\n').map(cleanLine)
  for (const line of clean) work.log.system(`| ${line}`)
  return clean
}
