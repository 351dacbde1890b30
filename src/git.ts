import { join } from 'node:path'
import type { Core } from './core.js'
import { readCaFile, writeCaBundle } from './engine/git/ca-bundle.js'
import type { Git } from './engine/git/git.js'
import { createGitBinary } from './engine/git/git-binary.js'
import { checkNodegit, createNodegit } from './engine/git/nodegit/nodegit.js'
import { createKnownHosts } from './engine/repositories/known-hosts.js'

/**
 * What GIT_BACKEND names.
 *
 * @throws ConfigError when it is nodegit and cannot be loaded, or GIT_CA_FILE cannot be used
 */
export async function openGit({ config, database, logger }: Core): Promise<Git> {
  const caBundle = config.gitCaFile === null ? null : join(config.dataDir, 'git-ca.pem')
  if (config.gitCaFile !== null && caBundle !== null) {
    await writeCaBundle(caBundle, await readCaFile(config.gitCaFile))
  }
  const [timeoutMs, silenceMs] = [config.cloneTimeoutMs, config.fetchSilenceMs]
  const options = { ...config, timeoutMs, silenceMs, caBundle, knownHosts: createKnownHosts(database) }
  if (config.gitBackend === 'git') return createGitBinary(options)
  logger.info('git backend', { uses: await checkNodegit() })
  return createNodegit(options)
}
