import { badInput } from '../command-error.js'
import { checkRepoUrl } from '../names.js'
import type { ListedRefs } from '../repositories/refs-requests.js'
import { hasToken, originOf } from '../repository-url.js'
import { getApp } from './apps.js'
import { askWorker } from './ask-worker.js'
import type { CommandDependencies } from './dependencies.js'

/** A person waits for it. */
const TIMEOUT_MS = 30_000

/** Asks a worker for the branches and tags of a repository: the API has no git, and may not reach the server. */
export class RepositoryRefsCommands {
  constructor(
    private readonly dependencies: CommandDependencies,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  /**
   * @param appId whose credential it is asked with; null: as anybody
   * @throws CommandError NO_WORKER when none takes the question within 30 s, QUEUE_FULL when too many are waiting; otherwise
   * with the code that a deployment of the repository would fail with
   */
  async list(repoUrl: string, appId: string | null): Promise<ListedRefs> {
    const { settings } = this.dependencies
    if (hasToken(repoUrl)) throw badInput('repoUrl', WITH_TOKEN)
    checkRepoUrl('repoUrl', repoUrl, settings.allowFileRepos)
    if (appId !== null) await this.#checkCredential(repoUrl, appId)
    const answer = await askWorker(this.dependencies, {
      repoUrl,
      appId,
      timeoutMs: this.timeoutMs,
      hook: null,
    })
    if ('refs' in answer) return answer.refs
    throw new Error('a worker has answered another question')
  }

  /** A credential that goes with any URL would be sent to whatever host the caller names. */
  async #checkCredential(repoUrl: string, appId: string): Promise<void> {
    const { database } = this.dependencies
    await getApp(database.manager, appId, 'appId')
    const sql = 'SELECT origin FROM repository_credential WHERE app_id = $1'
    const [row] = await database.query<{ origin: string }[]>(sql, [appId])
    if (!row || row.origin === originOf(repoUrl)) return
    const message = `is not at ${row.origin}, for which the app's credential is: leave out appId to read it without the credential`
    throw badInput('repoUrl', message)
  }
}

const WITH_TOKEN =
  'must not carry a user name or token here: set it as the credential of an app (setRepositoryToken), and give its appId'
