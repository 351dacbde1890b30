import type { EntityManager } from 'typeorm'
import type { App } from '../../entities/app.js'
import { StoredRepositoryCredential } from '../../entities/repository-credential.js'
import { badInput, checkAll } from '../command-error.js'
import { storeDeployKey, storeToken } from '../repositories/credential.js'
import { addressOf, checkRepositoryToken, checkUsername } from '../repository-url.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import { getApp } from './apps.js'
import { changeNode } from './change-node.js'
import type { CommandDependencies } from './dependencies.js'

export interface SetRepositoryTokenCommand {
  readonly username?: string | null
  readonly token: string
}

/** What private repositories are fetched with: one credential per app, which takes the place of the one before. */
export class RepositoryCredentialCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** For https. The next fetch uses it. */
  async setToken(appId: string, command: SetRepositoryTokenCommand): Promise<App> {
    const given = checkAll({
      username: () => (command.username ? checkUsername('username', command.username) : null),
      token: () => checkRepositoryToken('token', command.token),
    })
    return this.#change(appId, async (manager, app) => {
      if (addressOf(app.repoUrl)?.protocol !== 'https') throw badInput('appId', NOT_HTTPS)
      await storeToken(manager, app, { ...given, secrets: this.dependencies.secrets })
    })
  }

  /** For ssh: a new pair, of which the forge is to be given the public half. The one before is forgotten. */
  async createDeployKey(appId: string): Promise<App> {
    return this.#change(appId, async (manager, app) => {
      if (addressOf(app.repoUrl)?.protocol !== 'ssh') throw badInput('appId', NOT_SSH)
      await storeDeployKey(manager, app, this.dependencies.secrets)
    })
  }

  /** From now on the repository is fetched as anybody, over ssh with the keys of the worker's account. */
  async remove(appId: string): Promise<App> {
    return changeNode(this.dependencies, appId, async (manager) => {
      const app = await getApp(manager, appId, 'appId')
      await manager.delete(StoredRepositoryCredential, { appId })
      return app
    })
  }

  #change(appId: string, work: (manager: EntityManager, app: App) => Promise<void>): Promise<App> {
    return changeNode(this.dependencies, appId, async (manager) => {
      await lockKeySharedToEncrypt(manager, this.dependencies.secrets)
      // Its URL must not change in between: what is stored is for the host of this one.
      await manager.query('SELECT id FROM app WHERE id = $1 FOR NO KEY UPDATE', [appId])
      const app = await getApp(manager, appId, 'appId')
      await work(manager, app)
      return app
    })
  }
}

const NOT_HTTPS =
  "the app's repoUrl is not https://, and only HTTPS takes a token: use createDeployKey for SSH, or change repoUrl"
const NOT_SSH =
  "the app's repoUrl is not ssh:// or git@host:path, and only SSH takes a key: use setRepositoryToken for HTTPS, or change repoUrl"
