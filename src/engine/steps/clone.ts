import { LogStream } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { LostClaimError } from '../errors.js'
import type { FetchRequest, Source } from '../git/git.js'
import { checkRepoUrl } from '../names.js'
import { step, type Services } from '../services.js'
import type { DeploymentRun } from './deployment-run.js'
import { retryOutages } from './retry-outages.js'

/**
 * The commit that was asked for, fetched into the repository's mirror, with new attempts while its server or the network is
 * away. It is pinned: after a crash the next attempt takes the same commit, although the branch may have moved.
 */
export async function clone(run: DeploymentRun, services: Services): Promise<Source> {
  const { app, deployment, log } = run
  const ref = deployment.commitSha ?? deployment.ref ?? app.branch
  log.system(`Fetching ${app.repoUrl} at ${ref ?? 'its default branch'}`)
  const request: Omit<FetchRequest, 'onProgress'> = {
    repoUrl: checkRepoUrl('repoUrl', app.repoUrl, services.settings.allowFileRepos),
    credential: null,
    ref,
    deploymentId: deployment.id,
    onSilence: (silentMs, limitMs) => log.system(silence(silentMs, limitMs)),
  }
  const source = await retryOutages(() => attempt(run, services, request), {
    forMs: services.settings.fetchRetryMs,
    onRetry: ({ attempt, pauseMs, reason }) =>
      log.system(`Attempt ${attempt} failed: ${reason}. Trying again in ${seconds(pauseMs)}`),
    signal: run.signal,
  })
  const { commitSha } = source
  const commitMessage = log.mask(source.commitMessage)
  await step(services, 'pin', async () => {
    const result = await services.database
      .getRepository(Deployment)
      .update({ id: deployment.id, epoch: run.claim.epoch }, { commitSha, commitMessage })
    if (result.affected === 0) throw new LostClaimError(deployment.id)
  })
  log.system(`Commit ${commitSha} ${commitMessage}`)
  return source
}

/** Its progress ends with it: what comes next begins a line of its own. */
async function attempt(
  { log, signal }: DeploymentRun,
  { git }: Services,
  request: Omit<FetchRequest, 'onProgress'>,
): Promise<Source> {
  const progress = log.output(LogStream.STDERR)
  try {
    return await git.fetch({ ...request, onProgress: (bytes) => void progress.write(bytes) }, signal)
  } finally {
    progress.end()
  }
}

function silence(silentMs: number, limitMs: number): string {
  return `No byte from the server for ${seconds(silentMs)}; the attempt ends after ${seconds(limitMs)} (FETCH_SILENCE_TIMEOUT)`
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
