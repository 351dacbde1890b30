import { EPOCH_LABEL, INSTANCE_LABEL } from '../names.js'

export interface LabelRequest {
  readonly container: string
  readonly port: number
  readonly baseDomain: string
  readonly instanceId: string
  readonly appId: string
  readonly deploymentId: string
  readonly epoch: number
  /** The stage whose host the container carries as well, as ROUTER=traefik-labels has it; null: its own host only. */
  readonly carries: { readonly stageId: string; readonly host: string } | null
}

export const APP_LABEL = 'longshore.app'
export const DEPLOYMENT_LABEL = 'longshore.deployment'

export function ownLabels(instanceId: string, appId: string, deploymentId: string): Record<string, string> {
  return { [INSTANCE_LABEL]: instanceId, [APP_LABEL]: appId, [DEPLOYMENT_LABEL]: deploymentId }
}

/** Labels of every container: ours, and Traefik's for the deployment's own host. The names are facts that others read. */
export function containerLabels(request: LabelRequest): Record<string, string> {
  const { container, port, baseDomain } = request
  for (const name of [container, request.carries?.stageId ?? container]) assertName(name)
  return {
    ...ownLabels(request.instanceId, request.appId, request.deploymentId),
    [EPOCH_LABEL]: String(request.epoch),
    'traefik.enable': 'true',
    [`traefik.http.routers.${container}.rule`]: hostRule(`${container}.${baseDomain}`),
    [`traefik.http.services.${container}.loadbalancer.server.port`]: String(port),
    ...stageLabels(request),
  }
}

/**
 * So often Traefik tries until a server takes the connection, in turns. Of two servers, one of which has ended, half of
 * the tries go astray while many requests take turns: with ten that is the end of one request in 1,000.
 */
const ATTEMPTS = 10
/** Before the second attempt; Traefik makes it longer from one to the next, up to twice as long. */
const FIRST_WAIT = '50ms'

/**
 * The stage's router, service and middleware have the same names and options in all its deployments: Traefik then merges
 * their servers. With any difference it would drop the router, and the stage would answer 404 while both run. So whatever
 * changes here gets another name, as the router has: without the middleware it was called as the service is.
 */
function stageLabels({ container, port, carries }: LabelRequest): Record<string, string> {
  if (carries === null) return {}
  const name = `longshore-${carries.stageId}`
  const router = `${name}-retry`
  return {
    // With two services Traefik does not guess any more which router means which.
    [`traefik.http.routers.${container}.service`]: container,
    [`traefik.http.routers.${router}.rule`]: hostRule(carries.host),
    [`traefik.http.routers.${router}.service`]: name,
    [`traefik.http.routers.${router}.middlewares`]: router,
    [`traefik.http.middlewares.${router}.retry.attempts`]: String(ATTEMPTS),
    [`traefik.http.middlewares.${router}.retry.initialinterval`]: FIRST_WAIT,
    [`traefik.http.services.${name}.loadbalancer.server.port`]: String(port),
  }
}

const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/

/**
 * Traefik's rule that matches one host and nothing else. The last line of defence: whatever was checked before, no
 * back-tick, brace or quote gets into a rule, where it could add a matcher, or a template that reads the environment.
 *
 * @throws Error when `host` is anything but lower-case letters, digits, hyphens and dots
 */
export function hostRule(host: string): string {
  if (!HOST.test(host)) throw new Error(`${JSON.stringify(host)} must not get into a rule of Traefik`)
  return `Host(\`${host}\`)`
}

/** A dot in a name would make another label of it. */
function assertName(name: string): void {
  if (!/^[a-z0-9-]{1,128}$/.test(name)) throw new Error(`${JSON.stringify(name)} must not get into a label`)
}

/** Labels that an image must not bring along: with them it would route other people's hosts to itself. */
export function forbiddenLabels(labels: Readonly<Record<string, string>>): string[] {
  return Object.keys(labels).filter((name) => name.toLowerCase().startsWith('traefik.'))
}
