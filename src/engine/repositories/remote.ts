import type { App } from '../../entities/app.js'
import type { Remote } from '../git/git.js'
import { checkRepoUrl } from '../names.js'
import type { SecretBox } from '../secrets/secrets.js'
import type { Queryable } from '../sql/queryable.js'
import { openRepositoryCredential } from './credential.js'

interface Sources {
  readonly database: Queryable
  readonly secrets: SecretBox
  readonly settings: { readonly allowFileRepos: boolean }
}

/**
 * Where an app's code is read, and with what: the credential of now, so that a token that replaces an expired one helps
 * whatever is tried again.
 *
 * @throws CommandError where this server does not allow the URL (any more)
 * @throws DeployError SECRET_UNREADABLE
 */
export async function remoteOf(
  { database, secrets, settings }: Sources,
  app: Pick<App, 'id' | 'repoUrl'>,
): Promise<Remote> {
  const repoUrl = checkRepoUrl('repoUrl', app.repoUrl, settings.allowFileRepos)
  return { repoUrl, credential: await openRepositoryCredential({ database, secrets }, app.id, repoUrl) }
}
