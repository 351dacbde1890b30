import { isIPv6 } from 'node:net'
import { NETWORK } from '../docker/docker.js'
import { DeployError } from '../errors.js'
import { cleanLine } from '../quoted-text.js'
import { askContainer } from '../routing/ask-container.js'
import type { ProbeRequest } from '../routing/router.js'
import type { Services } from '../services.js'
import type { DeploymentRun } from './deployment-run.js'
import { describeAnswer, isReached } from './describe-answer.js'
import { listeningHint } from './listening-hint.js'

/** The containers that the router did not get to, and what it says of it. */
export interface Unreached {
  readonly containers: readonly string[]
  readonly request: ProbeRequest
  /** What came of the router's last probe. */
  readonly finding: string
}

/**
 * Why no request gets through: asks the containers as the router does, and tells whom it asked for what, and what came
 * back. The router is to blame only if all of them answer.
 */
export async function unreachableError(
  run: DeploymentRun,
  { containers, request, finding }: Unreached,
  services: Services,
): Promise<DeployError> {
  const { host, path, port, addresses, timeoutMs } = request
  const fail = (why: string) =>
    new DeployError('ROUTER_UNREACHABLE', `the router cannot reach ${host}: ${why}`)
  const asked = await Promise.all(
    addresses.map(async (address, index) => {
      const answer = await askContainer({ address, port, host, path, timeoutMs })
      const at = `${isIPv6(address) ? `[${address}]` : address}:${port}`
      return { container: containers[index] ?? '', at, answer }
    }),
  )
  const bad = asked.find(({ answer }) => !isReached(answer))
  if (bad) {
    const clean = (text: string) => cleanLine(run.log.mask(text))
    const hint =
      bad.answer.kind === 'unconnected'
        ? listeningHint(await services.docker.listeningOn(bad.container, run.signal).catch(() => null), port)
        : ''
    return fail(`GET ${path} for host ${host} at ${bad.at} ${describeAnswer(bad.answer, clean)}${hint}`)
  }
  const [one] = asked
  const answers = one ? `; the container itself, at ${one.at}, ${describeAnswer(one.answer, cleanLine)}` : ''
  return fail(`${finding}${answers}: ${advice(services)}`)
}

function advice({ settings: { router } }: Services): string {
  const logs = "see the server's log and the router's"
  return router.startsWith('traefik') ? `is Traefik on the Docker network "${NETWORK}"? If so, ${logs}` : logs
}
