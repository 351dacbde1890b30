import type { App } from '../../entities/app.js'
import { RepositoryCredentialKind } from '../../entities/repository-credential.js'
import type { Forge } from '../../entities/webhook-delivery.js'
import { badInput, CommandError } from '../command-error.js'
import { originOf } from '../repository-url.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import { checkStatusAddress } from '../webhooks/status-target.js'
import { getApp } from './apps.js'
import { askWorker } from './ask-worker.js'
import type { CommandDependencies } from './dependencies.js'
import { createSecret } from './webhooks.js'

/** A person waits for it. */
const TIMEOUT_MS = 30_000

export interface InstallWebhookCommand {
  readonly forge: Forge
  /** Default: that of the host of the app's repository. */
  readonly apiUrl?: string | null
  /** owner/name. Default: that of the app's repository. */
  readonly repository?: string | null
}

export class InstallWebhookCommands {
  constructor(
    private readonly dependencies: CommandDependencies,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  /**
   * Has a worker create the app's webhook at its forge, or update the one with its URL. The app gets a secret if it has none.
   *
   * @throws CommandError FORGE_ERROR with what the forge has against it; as `askWorker`
   */
  async install(appId: string, command: InstallWebhookCommand): Promise<App> {
    const { database, secrets, settings } = this.dependencies
    const app = await database.transaction(async (manager) => {
      await lockKeySharedToEncrypt(manager, secrets)
      const found = await getApp(manager, appId, 'appId')
      await this.#checkToken(found)
      await createSecret(manager, appId, secrets)
      return found
    })
    const { forge, apiUrl, repository } = checkStatusAddress(
      command,
      app.repoUrl,
      settings.allowInsecureForges,
    )
    if (command.apiUrl) checkOrigin(apiUrl, app.repoUrl)
    const hook = { forge, apiUrl, repository, url: `${settings.publicUrl}/hooks/${appId}` }
    const question = { repoUrl: app.repoUrl, appId, timeoutMs: this.timeoutMs, hook }
    const answer = await askWorker(this.dependencies, question)
    if (!('installed' in answer))
      throw new CommandError('FORGE_ERROR', 'the worker is of an earlier version: update it')
    return app
  }

  async #checkToken({ id, repoUrl }: App): Promise<void> {
    if (!repoUrl.startsWith('https://')) throw badInput('appId', NO_HTTPS)
    const sql = 'SELECT kind FROM repository_credential WHERE app_id = $1 AND origin = $2'
    const [row] = await this.dependencies.database.query<{ kind: string }[]>(sql, [id, originOf(repoUrl)])
    if (row?.kind !== RepositoryCredentialKind.TOKEN) throw badInput('appId', NO_TOKEN)
  }
}

/** A token that goes to any address would go to whatever host the caller names. */
function checkOrigin(apiUrl: string, repoUrl: string): void {
  const origin = new URL(repoUrl).origin
  if (new URL(apiUrl).origin === origin) return
  throw badInput('apiUrl', `must be at ${origin}, for which the app's token is`)
}

const NO_HTTPS =
  'is of an app whose repoUrl is not https://: create the webhook at the forge with the URL and the secret of rotateWebhookSecret, or change repoUrl and call setRepositoryToken'
const NO_TOKEN =
  'is of an app without a token for its repository: call setRepositoryToken with one that may manage its webhooks, or create the webhook at the forge with the URL and the secret of rotateWebhookSecret'
