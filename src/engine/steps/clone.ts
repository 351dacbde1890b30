import { LogSource } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { LostClaimError } from '../errors.js'
import type { Source } from '../git/git.js'
import { checkRepoUrl } from '../names.js'
import { step, type Tools, type Work } from './context.js'

/**
 * The commit that was asked for, fetched into the repository's mirror. It is pinned: after a crash the next attempt
 * takes the same commit, although the branch may have moved.
 */
export async function clone(work: Work, tools: Tools, signal: AbortSignal): Promise<Source> {
  const { app, deployment, log } = work
  const ref = deployment.commitSha ?? deployment.ref ?? app.branch
  log.system(`Fetching ${app.repoUrl} at ${ref ?? 'its default branch'}`)
  const progress = log.output(LogSource.STDERR)
  const source = await tools.git.fetch(
    {
      repoUrl: checkRepoUrl('repoUrl', app.repoUrl, tools.settings.allowFileRepos),
      ref,
      deploymentId: deployment.id,
      onProgress: (bytes) => void progress.write(bytes),
    },
    signal,
  )
  progress.end()
  const { commitSha } = source
  const commitMessage = log.mask(source.commitMessage)
  await step(tools, 'pin', async () => {
    const result = await tools.database
      .getRepository(Deployment)
      .update({ id: deployment.id, epoch: work.claim.epoch }, { commitSha, commitMessage })
    if (result.affected === 0) throw new LostClaimError(deployment.id)
  })
  log.system(`Commit ${commitSha} ${commitMessage}`)
  return source
}
