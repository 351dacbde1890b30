import { request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HealthConfiguration } from '../../entities/configuration.js'
import type { Deployment } from '../../entities/deployment.js'
import type { ContainerState, Docker } from '../docker/docker.js'
import { EarlyCheck } from './early-check.js'
import { isResourceExhaustion } from '../resource-exhaustion.js'
import { stallTolerantTimeout } from '../stall-tolerant-timeout.js'

/** How an app is asked whether it is healthy, from outside its container. */
export type Probe =
  /** The image's own HEALTHCHECK, which the Docker engine runs, and this process until the engine has. */
  | { readonly kind: 'image'; readonly runEarly: EarlyCheck | null }
  /** GET a path as a browser asks for it at the URL: 200 to 399 is healthy. */
  | { readonly kind: 'http'; readonly path: string; readonly url: string }
  /** It accepts connections. */
  | { readonly kind: 'tcp' }

/** A container beside us accepts at once or not at all; one that has ended is silent. */
const CONNECT_MS = 1_000
/** A version that ran before comes up soon. */
const WAIT_MS = 50
/** To run an image's check costs the engine a process. */
const OWN_CHECK_WAIT_MS = 500
const CANCELLED = 'nobody waits for the answer any more'

/**
 * A path that the stage sets, else the image's HEALTHCHECK, else a TCP connection.
 *
 * @param url of the stage: apps answer only to hosts that they know
 * @param runEarly runs the HEALTHCHECK before the engine does; null: the engine's word is waited for
 */
export function chooseProbe(
  { path }: HealthConfiguration,
  state: ContainerState,
  { url, runEarly }: { readonly url: string; readonly runEarly: EarlyCheck | null },
): Probe {
  if (path !== null) return { kind: 'http', path, url }
  return state.health === null ? { kind: 'tcp' } : { kind: 'image', runEarly }
}

/** What a probe found: healthy, not (yet), or given up by the image's own check. `why` is for the error. */
export interface ProbeResult {
  readonly isHealthy: boolean
  readonly hasGivenUp: boolean
  /** False: this process lacked what it takes to ask, so nothing is known of the app. */
  readonly hasRun: boolean
  readonly why: string
  /** What the image's own check wrote. Secrets may be in it. */
  readonly output?: string
}

/** Asks once. Rejects with the reason of `signal` when that aborts, and else never. */
export async function runProbe(
  probe: Probe,
  state: ContainerState,
  options: { readonly port: number; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ProbeResult> {
  if (probe.kind === 'image') return runOwnCheck(probe.runEarly, state, options.signal)
  if (state.address === null)
    return { isHealthy: false, hasGivenUp: false, hasRun: true, why: 'it has no address' }
  options.signal.throwIfAborted()
  const target = { ...options, host: state.address }
  const why =
    probe.kind === 'tcp'
      ? await probeTcp({ ...target, timeoutMs: Math.min(target.timeoutMs, CONNECT_MS) })
      : await probeHttp(target, probe)
  options.signal.throwIfAborted()
  if (why instanceof Error) return { isHealthy: false, hasGivenUp: false, hasRun: false, why: why.message }
  return { isHealthy: why === null, hasGivenUp: false, hasRun: true, why: why ?? '' }
}

/** The engine's word, and while it has none the check itself. */
async function runOwnCheck(
  runEarly: EarlyCheck | null,
  { health, healthCheck }: ContainerState,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const early =
    health === 'starting' && healthCheck && runEarly ? await runEarly.run(healthCheck, signal) : null
  const { exitCode, output } = early ?? healthCheck?.last ?? { exitCode: null, output: '' }
  const said =
    exitCode === null ? `its HEALTHCHECK says ${health}` : `its HEALTHCHECK fails with exit code ${exitCode}`
  return {
    isHealthy: health === 'healthy' || early?.exitCode === 0,
    hasGivenUp: health === 'unhealthy',
    hasRun: true,
    why: early?.exitCode === null ? `its HEALTHCHECK did not end within its timeout` : said,
    output,
  }
}

/** What is asked, how long its answer is waited for, and what ends the wait. */
interface ProbeTarget {
  readonly host: string
  readonly port: number
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Of a probe: null is healthy, a text says what is wrong with the app, an error what this process lacks. */
type Answer = string | null | Error

/** What is under way to an app. */
interface Asking {
  destroy(): unknown
}

/** Null: something accepts connections there. */
function probeTcp(target: ProbeTarget): Promise<Answer> {
  const { host, port, timeoutMs } = target
  const late = `port ${port} did not answer within ${timeoutMs / 1000} s`
  return answerOf(target, late, (finish) => {
    const socket = connect({ host, port })
    socket.once('connect', () => finish(null))
    socket.once('error', (error) =>
      finish(isResourceExhaustion(error) ? error : `nothing listens on port ${port}`),
    )
    return socket
  })
}

/** Null: the answer's status is 200 to 399. The whole answer has to begin within the time. */
function probeHttp(target: ProbeTarget, { path, url }: Probe & { kind: 'http' }): Promise<Answer> {
  const { host, port, timeoutMs } = target
  const late = `GET ${path} did not answer within ${timeoutMs / 1000} s`
  return answerOf(target, late, (finish) => {
    const asked = request({ host, port, path, headers: probeHeaders(url), agent: false })
    asked.once('response', ({ statusCode = 0 }) =>
      finish(statusCode >= 200 && statusCode < 400 ? null : refusal(path, url, statusCode)),
    )
    asked.once('error', (error) =>
      finish(isResourceExhaustion(error) ? error : `nothing answers GET ${path} on port ${port}`),
    )
    return asked.end()
  })
}

/** As the router passes on what a browser asks for. */
export function probeHeaders(url: string): Record<string, string> {
  const { host, protocol } = new URL(url)
  return {
    host,
    'user-agent': 'Longshore-health',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': host,
    'x-forwarded-proto': protocol.slice(0, -1),
  }
}

/** Statuses by which frameworks refuse a host that they do not know. */
const HOST_REFUSED = [400, 403, 421]

function refusal(path: string, url: string, status: number): string {
  const { host } = new URL(url)
  const hint = HOST_REFUSED.includes(status)
    ? ` to the host ${host}: does the app allow it (ALLOWED_HOSTS in Django, config.hosts in Rails, allowedHosts in Vite)?`
    : ''
  return `GET ${path} answered ${status}${hint}`
}

/** The first that `ask` finds, that the time is over (`late`), or that nobody waits any more; then the connection goes. */
function answerOf(
  { timeoutMs, signal }: ProbeTarget,
  late: string,
  ask: (finish: (answer: Answer) => void) => Asking,
): Promise<Answer> {
  return new Promise((resolve) => {
    const finish = (answer: Answer) => {
      stopWaiting()
      signal.removeEventListener('abort', leave)
      asking.destroy()
      resolve(answer)
    }
    const leave = () => finish(CANCELLED)
    const asking = ask(finish)
    signal.addEventListener('abort', leave)
    const stopWaiting = stallTolerantTimeout(timeoutMs, () => finish(late))
  })
}

/** How a version that ran before is waited for. */
export interface Patience {
  readonly seconds: number
  /** Whether the image's own HEALTHCHECK counts. */
  readonly ownCheck: boolean
  /** Ends the wait. */
  readonly signal: AbortSignal
}

/**
 * Waits until a container of a version that ran before is healthy again; gives its address.
 *
 * @throws Error when it does not run, or is not healthy in time
 */
export async function untilHealthyAgain(
  { name, deployment, url }: { readonly name: string; readonly deployment: Deployment; readonly url: string },
  { seconds, ownCheck, signal }: Patience,
  docker: Docker,
): Promise<string> {
  const { configuration, port } = deployment
  if (!configuration || port === null) throw new Error('it never ran')
  const { health } = configuration
  const probing = { port, timeoutMs: health.timeoutSeconds * 1000, signal }
  const until = performance.now() + seconds * 1000
  const runEarly = new EarlyCheck(name, docker)
  for (;;) {
    const state = await docker.findContainer(name, signal)
    if (!state?.running || state.address === null) throw new Error(`${name} does not run`)
    const probe = chooseProbe(health, ownCheck ? state : { ...state, health: null }, { url, runEarly })
    const { isHealthy, why } = await runProbe(probe, state, probing)
    if (isHealthy) return state.address
    if (performance.now() > until) throw new Error(`${name} is not healthy: ${why}`)
    await sleep(probe.kind === 'image' ? OWN_CHECK_WAIT_MS : WAIT_MS, undefined, { signal })
  }
}
