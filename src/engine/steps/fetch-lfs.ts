import type { LfsPointer } from '../git/git.js'
import { secretsOf } from '../repositories/credential.js'
import { remoteOf } from '../repositories/remote.js'
import type { Services } from '../services.js'
import type { DeploymentRun } from './deployment-run.js'
import { retryLine, retryOutages } from './retry-outages.js'

/** Fetches the objects of Git LFS that a build takes, by the app's credential. */
export async function fetchLfs(
  { app, log, signal }: DeploymentRun,
  pointers: readonly LfsPointer[],
  services: Services,
): Promise<void> {
  if (pointers.length === 0) return
  const remote = await remoteOf(services, app)
  log.hide(secretsOf(remote.credential))
  const bytes = pointers.reduce((sum, { size }) => sum + size, 0)
  const files = pointers.length === 1 ? '1 Git LFS file' : `${pointers.length} Git LFS files`
  log.system(`Fetching ${files} (${(bytes / 1024 / 1024).toFixed(1)} MiB)`)
  await retryOutages(() => services.git.fetchLfs({ ...remote, pointers }, signal), {
    forMs: services.settings.fetchRetryMs,
    onRetry: (failed) => log.system(retryLine(failed)),
    signal,
  })
}
