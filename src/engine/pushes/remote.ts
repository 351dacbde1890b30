import type { App } from '../../entities/app.js'
import type { Remote } from '../git/git.js'
import { checkRepoUrl } from '../names.js'

/** Where an app's code is read. @throws CommandError where this server does not allow the URL (any more) */
export function remoteOf({ repoUrl }: Pick<App, 'repoUrl'>, allowFileRepos: boolean): Remote {
  return { repoUrl: checkRepoUrl('repoUrl', repoUrl, allowFileRepos), credential: null }
}
