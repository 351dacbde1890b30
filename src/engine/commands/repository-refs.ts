import { badInput, CommandError } from '../command-error.js'
import { checkRepoUrl, createId } from '../names.js'
import {
  deleteRequest,
  insertRequest,
  type ListedRefs,
  readRequest,
  type RefsAnswer,
} from '../repositories/refs-requests.js'
import { hasToken, originOf } from '../repository-url.js'
import { ManualResetEvent } from '../wakeups/manual-reset-event.js'
import { getApp } from './apps.js'
import type { CommandDependencies } from './dependencies.js'

/** A person waits for it. */
const TIMEOUT_MS = 30_000
/** A wake-up that was lost is made up for after this. */
const POLL_MS = 1_000

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
    const { database, settings } = this.dependencies
    if (hasToken(repoUrl)) throw badInput('repoUrl', WITH_TOKEN)
    checkRepoUrl('repoUrl', repoUrl, settings.allowFileRepos)
    if (appId !== null) await this.#checkCredential(repoUrl, appId)
    const id = createId()
    const isTaken = await insertRequest(database, { id, repoUrl, appId, timeoutMs: this.timeoutMs })
    if (!isTaken) throw new CommandError('QUEUE_FULL', TOO_MANY)
    try {
      return await this.#answerTo(id)
    } finally {
      // A row that stays behind expires.
      await deleteRequest(database, id).catch(() => undefined)
    }
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

  async #answerTo(id: string): Promise<ListedRefs> {
    const { database, wakeups } = this.dependencies
    const changed = new ManualResetEvent()
    const stopListening = wakeups.on('refsAnswer', (of) => (of === id || of === '') && changed.set())
    wakeups.refsRequested(id)
    try {
      for (const until = performance.now() + this.timeoutMs; ;) {
        changed.clear()
        const state = await readRequest(database, id)
        if (state?.answer) return refsOf(state.answer)
        const leftMs = until - performance.now()
        if (leftMs <= 0 || !state) throw unanswered(state?.claimedBy ?? null)
        await changed.wait(Math.min(POLL_MS, leftMs))
      }
    } finally {
      stopListening()
    }
  }
}

function refsOf(answer: RefsAnswer): ListedRefs {
  if ('refs' in answer) return answer.refs
  throw new CommandError(answer.error.code, answer.error.message)
}

function unanswered(claimedBy: string | null): CommandError {
  if (claimedBy !== null)
    return new CommandError('CLONE_TIMEOUT', 'the worker that asks the repository does not answer: try again')
  return new CommandError('NO_WORKER', 'no worker takes the question: start one (ROLES=worker), or try again')
}

const WITH_TOKEN =
  'must not carry a user name or token here: set it as the credential of an app (setRepositoryToken), and give its appId'
const TOO_MANY = 'too many repositories are being read at the moment: try again in a few seconds'
