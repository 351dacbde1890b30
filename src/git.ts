import type { Core } from './core.js'
import type { Git } from './engine/git/git.js'
import { createGitBinary } from './engine/git/git-binary.js'
import { checkNodegit, createNodegit } from './engine/git/nodegit/nodegit.js'
import { createKnownHosts } from './engine/repositories/known-hosts.js'

/**
 * What GIT_BACKEND names.
 *
 * @param caBundle file of the CAs that git trusts; null: those of the system
 * @throws ConfigError when it is nodegit and cannot be loaded
 */
export async function openGit({ config, database, logger }: Core, caBundle: string | null): Promise<Git> {
  const [timeoutMs, silenceMs] = [config.cloneTimeoutMs, config.fetchSilenceMs]
  const options = { ...config, timeoutMs, silenceMs, caBundle, knownHosts: createKnownHosts(database) }
  if (config.gitBackend === 'git') return createGitBinary(options)
  logger.info('git backend', { uses: await checkNodegit() })
  return createNodegit(options)
}
