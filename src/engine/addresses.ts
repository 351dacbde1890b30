/** What a stage of an app is called by browsers. */
export function stageHost(appName: string, stageName: string, baseDomain: string): string {
  const label = stageName === 'production' ? appName : `${stageName}--${appName}`
  return `${label}.${baseDomain}`
}

/** The container's name, which is also the first label of the deployment's own host. */
export function containerName(appName: string, deploymentId: string): string {
  return `${appName}-${deploymentId}`
}

/** What a browser is given. Port 443 is where the router has TLS for every host of a stage. */
export function publicUrl(host: string, publicPort: number): string {
  if (publicPort === 443) return `https://${host}`
  return `http://${host}${publicPort === 80 ? '' : `:${publicPort}`}`
}

/** Where a stage of an app answers. */
export function stageUrl(
  appName: string,
  stageName: string,
  at: { readonly baseDomain: string; readonly publicPort: number },
): string {
  return publicUrl(stageHost(appName, stageName, at.baseDomain), at.publicPort)
}

/** A deployment's own address while its container runs, else null. */
export function deploymentUrl(
  deployment: { readonly id: string; readonly addresses: readonly string[] | null },
  appName: string,
  at: { readonly baseDomain: string; readonly publicPort: number },
): string | null {
  if (deployment.addresses === null) return null
  // Deployments' own hosts get no certificates of their own, and answer over HTTP as well.
  const port = at.publicPort === 443 ? 80 : at.publicPort
  return publicUrl(`${containerName(appName, deployment.id)}.${at.baseDomain}`, port)
}
