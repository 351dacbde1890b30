import { LogStream } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { LostClaimError } from '../errors.js'
import type { FetchRequest, Source } from '../git/git.js'
import { oneLine } from '../quoted-text.js'
import { secretsOf } from '../repositories/credential.js'
import { remoteOf } from '../repositories/remote.js'
import { step, type Services } from '../services.js'
import type { DeploymentRun } from './deployment-run.js'
import { retryLine, retryOutages } from './retry-outages.js'

/**
 * The commit that was asked for, fetched into the repository's mirror, with new attempts while its server or the network is
 * away. It is pinned: after a crash the next attempt takes the same commit, although the branch may have moved.
 */
export async function clone(run: DeploymentRun, services: Services): Promise<Source> {
  const { app, deployment, log } = run
  const ref = deployment.commitSha ?? deployment.ref ?? app.branch
  const remote = await remoteOf(services, app)
  const { repoUrl, credential } = remote
  log.hide(secretsOf(credential))
  log.system(`Fetching ${repoUrl} at ${ref ?? 'its default branch'}${WITH[credential?.kind ?? 'NONE']}`)
  const request: Omit<FetchRequest, 'onProgress'> = {
    ...remote,
    onNewHost: (host, fingerprint) => log.system(newHost(host, fingerprint)),
    ref,
    deploymentId: deployment.id,
    ...(deployment.ref !== null && {
      onAmbiguous: () => log.system(ambiguous(deployment.ref ?? '')),
    }),
    onSilence: (silentMs, limitMs) => log.system(silence(silentMs, limitMs)),
  }
  const source = await retryOutages(() => attempt(run, services, request), {
    forMs: services.settings.fetchRetryMs,
    onRetry: (failed) => log.system(retryLine(failed)),
    signal: run.signal,
  })
  const { commitSha } = source
  const commitMessage = oneLine(log.mask(source.commitMessage), MAX_SUBJECT)
  await step(services, 'pin', async () => {
    const result = await services.database
      .getRepository(Deployment)
      .update({ id: deployment.id, epoch: run.claim.epoch }, { commitSha, commitMessage })
    if (result.affected === 0) throw new LostClaimError(deployment.id)
  })
  log.system(`Commit ${commitSha} ${commitMessage}`)
  return source
}

/** UTF-16 units of a commit's subject that are kept. */
const MAX_SUBJECT = 200

const WITH = { TOKEN: ' with its token', DEPLOY_KEY: ' with its deploy key', NONE: '' } as const

function newHost(host: string, fingerprint: string): string {
  return `Trusting the SSH host ${host}, seen for the first time, by its key ${fingerprint}: compare it with what the host's operator publishes. Another key is refused from now on.`
}

function ambiguous(ref: string): string {
  return `"${ref}" is a branch and a tag: this is the branch. For the tag, deploy "refs/tags/${ref}"`
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
