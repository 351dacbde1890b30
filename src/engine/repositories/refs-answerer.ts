import { DeployError, InfrastructureError } from '../errors.js'
import { type ForgeClient, ForgeError } from '../forges/forge-client.js'
import type { ForgeTarget } from '../forges/forge-target.js'
import { installWebhook } from '../forges/install-webhook.js'
import type { RemoteRefs, RepositoryCredential } from '../git/git.js'
import { oneLine } from '../quoted-text.js'
import { Redactor } from '../logs/redactor.js'
import { checkRepoUrl } from '../names.js'
import { checkRef } from '../ref-names.js'
import type { Services } from '../services.js'
import { webhookSecretAad } from '../secrets/aad.js'
import { DecryptError } from '../secrets/secrets.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import { openRepositoryCredential, secretsOf } from './credential.js'
import {
  answerRequest,
  type ClaimedRequest,
  claimRequests,
  deleteExpiredRequests,
  type ListedRefs,
  type RefsAnswer,
} from './refs-requests.js'

const EVERY_MS = 2_000
/** Of one worker. A server that hangs holds one of them for the time that somebody waits. */
const AT_ONCE = 4
/** The answer is stored this long before nobody waits for it. */
const MARGIN_MS = 1_000
/** Of each kind; more are in no list that a person picks from. */
const MAX_REFS = 1_000

type Dependencies = Pick<Services, 'database' | 'wakeups' | 'secrets' | 'git' | 'logger' | 'settings'> & {
  readonly forges: ForgeClient
}

/** Asks repositories for their branches and tags and forges for webhooks, for the API, which reaches neither. Every worker does it. */
export class RefsAnswerer implements AsyncDisposable {
  readonly #task: PeriodicTask
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<void>>()

  constructor(
    private readonly dependencies: Dependencies,
    private readonly workerId: string,
  ) {
    const work = {
      title: 'asking repositories for their refs',
      everyMs: EVERY_MS,
      run: () => this.#runOnce(),
    }
    this.#task = new PeriodicTask(work, dependencies)
  }

  start(): void {
    this.#task.start('refs')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#task[Symbol.asyncDispose]()
    await Promise.all(this.#running)
  }

  async #runOnce(): Promise<void> {
    const { database } = this.dependencies
    await deleteExpiredRequests(database)
    const free = AT_ONCE - this.#running.size
    if (free === 0) return
    for (const request of await claimRequests(database, this.workerId, free)) {
      const answering = this.#answer(request).finally(() => {
        this.#running.delete(answering)
        this.#task.runNow()
      })
      this.#running.add(answering)
    }
  }

  /** Never rejects: whoever waits is told by the time that it takes. */
  async #answer(request: ClaimedRequest): Promise<void> {
    const { database, wakeups, logger } = this.dependencies
    try {
      await answerRequest(database, request.id, await this.#ask(request))
      wakeups.refsAnswered(request.id)
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      logger.error('could not answer for a repository', { repoUrl: request.repoUrl, error })
    }
  }

  async #ask({ repoUrl, appId, hook, leftMs }: ClaimedRequest): Promise<RefsAnswer> {
    const timeout = AbortSignal.timeout(Math.max(0, Math.floor(leftMs - MARGIN_MS)))
    const signal = AbortSignal.any([this.#stopping.signal, timeout])
    const { git, settings } = this.dependencies
    let mask = (text: string) => text
    try {
      const credential =
        appId === null ? null : await openRepositoryCredential(this.dependencies, appId, repoUrl)
      const redactor = new Redactor(secretsOf(credential))
      mask = (text) => redactor.mask(text)
      if (hook !== null) {
        await this.#install({ ...hook, token: tokenOf(credential) }, appId, signal)
        return { installed: true }
      }
      const checked = checkRepoUrl('repoUrl', repoUrl, settings.allowFileRepos)
      return { refs: listed(await git.listRefs({ repoUrl: checked, credential }, signal)) }
    } catch (error) {
      if (this.#stopping.signal.aborted) throw error
      const failure = timeout.aborted ? noAnswer(repoUrl, leftMs) : error
      if (hook !== null && (timeout.aborted || failure instanceof ForgeError)) {
        return { error: { code: 'FORGE_ERROR', message: oneLine(mask((failure as Error).message), 1_000) } }
      }
      if (failure instanceof DeployError || failure instanceof InfrastructureError) {
        return { error: { code: failure.code, message: oneLine(mask(failure.message), 1_000) } }
      }
      this.dependencies.logger.error('could not ask a repository', { repoUrl, error: failure })
      return { error: { code: 'INTERNAL', message: "internal error: see the worker's log" } }
    }
  }

  async #install(
    { url, ...target }: ForgeTarget & { readonly url: string },
    appId: string | null,
    signal: AbortSignal,
  ): Promise<void> {
    const { database, secrets, forges } = this.dependencies
    const sql = 'SELECT secret_encrypted AS sealed FROM webhook WHERE app_id = $1'
    const [row] = await database.query<{ sealed: string }[]>(sql, [appId])
    if (!row || appId === null) throw new ForgeError('the app has no webhook any more', true)
    const secret = unsealed(() => secrets.decrypt(row.sealed, webhookSecretAad(appId)))
    await installWebhook(forges, { target, hook: { url, secret } }, signal)
  }
}

function tokenOf(credential: RepositoryCredential | null): string {
  if (credential?.kind === 'TOKEN') return credential.token
  throw new ForgeError('the app has no token for its repository any more: call setRepositoryToken', true)
}

function unsealed(decrypt: () => string): string {
  try {
    return decrypt()
  } catch (error) {
    if (!(error instanceof DecryptError)) throw error
    throw new ForgeError(
      "the webhook's secret was encrypted with a different MASTER_KEY: call rotateWebhookSecret",
      true,
    )
  }
}

function noAnswer(repoUrl: string, leftMs: number): DeployError {
  const message = `${repoUrl} did not answer within ${Math.round(leftMs / 1000)} s: check the URL, and that the worker can reach it`
  return new DeployError('CLONE_TIMEOUT', message)
}

/** Those that can be deployed: the default branch first, then branches by name; tags from the highest number down. */
function listed({ defaultBranch, branches, tags }: RemoteRefs): ListedRefs {
  const byName = new Intl.Collator('en', { numeric: true }).compare
  const isDefault = (name: string) => Number(name === defaultBranch)
  const sorted = usable(branches).sort((a, b) => isDefault(b) - isDefault(a) || byName(a, b))
  const highest = usable(tags).sort((a, b) => byName(b, a))
  return { defaultBranch, branches: sorted.slice(0, MAX_REFS), tags: highest.slice(0, MAX_REFS) }
}

function usable(refs: ReadonlyMap<string, string>): string[] {
  return [...refs.keys()].filter((name) => {
    try {
      return checkRef('ref', name) === name
    } catch {
      return false
    }
  })
}
