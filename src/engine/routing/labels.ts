export interface LabelRequest {
  readonly container: string
  readonly port: number
  readonly baseDomain: string
  readonly instanceId: string
  readonly appId: string
  readonly deploymentId: string
}

/** By which this installation's containers and images are told from everybody else's. */
export const INSTANCE_LABEL = 'longshore.instance'
export const APP_LABEL = 'longshore.app'
export const DEPLOYMENT_LABEL = 'longshore.deployment'

export function ownLabels(instanceId: string, appId: string, deploymentId: string): Record<string, string> {
  return { [INSTANCE_LABEL]: instanceId, [APP_LABEL]: appId, [DEPLOYMENT_LABEL]: deploymentId }
}

/** Labels of every container: ours, and Traefik's for the deployment's own host. The names are facts that others read. */
export function containerLabels(request: LabelRequest): Record<string, string> {
  const { container, port, baseDomain } = request
  return {
    ...ownLabels(request.instanceId, request.appId, request.deploymentId),
    'traefik.enable': 'true',
    [`traefik.http.routers.${container}.rule`]: `Host(\`${container}.${baseDomain}\`)`,
    [`traefik.http.services.${container}.loadbalancer.server.port`]: String(port),
  }
}

/** Labels that an image must not bring along: with them it would route other people's hosts to itself. */
export function forbiddenLabels(labels: Readonly<Record<string, string>>): string[] {
  return Object.keys(labels).filter((name) => name.toLowerCase().startsWith('traefik.'))
}
