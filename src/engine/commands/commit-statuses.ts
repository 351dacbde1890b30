import type { App } from '../../entities/app.js'
import { CommitStatusTarget } from '../../entities/commit-status.js'
import type { Forge } from '../../entities/webhook-delivery.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import { statusTokenAad } from '../secrets/aad.js'
import { checkStatusAddress, checkToken } from '../webhooks/status-target.js'
import { getApp } from './apps.js'
import { ANY } from '../wakeups/wakeups.js'
import type { CommandDependencies } from './dependencies.js'

export interface SetCommitStatusCommand {
  readonly forge: Forge
  readonly token: string
  /** Default: that of the host of the app's repository. */
  readonly apiUrl?: string | null
  /** owner/name. Default: that of the app's repository. */
  readonly repository?: string | null
}

export class CommitStatusCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** From now on the app's forge is told how its commits are deployed. */
  async set(appId: string, command: SetCommitStatusCommand): Promise<App> {
    const { database, secrets, settings, wakeups } = this.dependencies
    const token = checkToken('token', command.token)
    const app = await database.transaction(async (manager) => {
      await lockKeySharedToEncrypt(manager, secrets)
      const found = await getApp(manager, appId, 'appId')
      const address = checkStatusAddress(command, found.repoUrl, settings.allowInsecureForges)
      const tokenEncrypted = secrets.encrypt(token, statusTokenAad(appId))
      const row = {
        appId,
        ...address,
        tokenEncrypted,
        fingerprint: secrets.fingerprint(token),
        staleReason: null,
      }
      await manager.upsert(CommitStatusTarget, { ...row, updatedAt: new Date() }, ['appId'])
      // What was given up under the token before may work under this one.
      await manager.query(
        `UPDATE commit_status_report SET attempts = 0, error = NULL, next_at = now()
          WHERE reported IS DISTINCT FROM wanted AND deployment_id IN (SELECT id FROM deployment WHERE app_id = $1)`,
        [appId],
      )
      return found
    })
    wakeups.deploymentChanged(ANY)
    return app
  }

  /** Nobody is told any more, and the token is forgotten. */
  async unset(appId: string): Promise<App> {
    return this.dependencies.database.transaction(async (manager) => {
      const app = await getApp(manager, appId, 'appId')
      await manager.delete(CommitStatusTarget, { appId })
      return app
    })
  }
}
