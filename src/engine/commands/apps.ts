import { setTimeout as sleep } from 'node:timers/promises'
import { type EntityManager, IsNull } from 'typeorm'
import { App } from '../../entities/app.js'
import { DeploymentTrigger } from '../../entities/deployment-status.js'
import { CommandError } from '../command-error.js'
import { ANY } from '../wakeups/wakeups.js'
import { moveStatusTarget } from './move-commit-status.js'
import { changeNode } from './change-node.js'
import type { CommandDependencies } from './dependencies.js'
import { ADMIN, announceQueued, enqueue } from '../queue/enqueue.js'
import { type AppSource, checkSource } from './app-source.js'
import { forgetElsewhere, storeToken } from '../repositories/credential.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import { hasToken } from '../repository-url.js'
import { checkNewApp, type CreateAppCommand, insertNewApp } from './new-app.js'
import { IN_FLIGHT } from '../sql/predicates.js'

/** What is left out stays as it is; null resets to the default. */
export type UpdateAppCommand = Partial<{ [Key in keyof AppSource]: AppSource[Key] | null }>

/** How long `delete` waits for a worker to have removed what runs. */
const DELETE_WAIT_MS = 30_000
const DELETE_POLL_MS = 500

export class AppCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** Creates the app, its production stage and, unless `deploy` is false, its first deployment. */
  async create(command: CreateAppCommand): Promise<App> {
    const { database, wakeups, settings } = this.dependencies
    const checked = checkNewApp(command, settings)
    const { created, queued } = await database.transaction(async (manager) => {
      const { app, stage } = await insertNewApp(manager, checked, this.dependencies)
      const first = { trigger: DeploymentTrigger.CREATE, actor: ADMIN }
      const deploys = stage !== null && command.deploy !== false
      return { created: app, queued: deploys ? await enqueue(manager, stage, first) : null }
    })
    wakeups.nodeChanged(created.id)
    if (queued) announceQueued(wakeups, queued)
    return created
  }

  /**
   * A repository at another host, or of another protocol, gets no credential that was for the one before: whoever may
   * change the URL could have it sent anywhere.
   */
  async update(id: string, command: UpdateAppCommand): Promise<App> {
    const { secrets } = this.dependencies
    return changeNode(this.dependencies, id, async (manager) => {
      if (hasToken(command.repoUrl)) await lockKeySharedToEncrypt(manager, secrets)
      const app = await lockApp(manager, id)
      const buildArgs = Object.entries(app.buildArgs).map(([key, value]) => ({ key, value }))
      const { columns, token } = checkSource(
        {
          repoUrl: command.repoUrl ?? app.repoUrl,
          branch: command.branch === undefined ? app.branch : command.branch,
          dockerfilePath: command.dockerfilePath === undefined ? app.dockerfilePath : command.dockerfilePath,
          contextPath: command.contextPath === undefined ? app.contextPath : command.contextPath,
          target: command.target === undefined ? app.target : command.target,
          buildArgs: command.buildArgs === undefined ? buildArgs : command.buildArgs,
          platform: command.platform === undefined ? app.platform : command.platform,
          port: command.port === undefined ? app.port : command.port,
          watchPaths: command.watchPaths === undefined ? app.watchPaths : command.watchPaths,
        },
        this.dependencies.settings,
      )
      await manager.update(App, { id }, { ...columns, updatedAt: new Date() })
      const updated = await manager.findOneByOrFail(App, { id })
      await moveStatusTarget(manager, id, { from: app.repoUrl, to: updated.repoUrl })
      await forgetElsewhere(manager, updated)
      if (token) await storeToken(manager, updated, { ...token, secrets })
      return updated
    })
  }

  /**
   * Deletes an app with all that runs for it. It is gone from the API at once; then waits up to 30 s until a worker
   * has removed containers, images and rows. False: there is no such app.
   */
  async delete(id: string): Promise<boolean> {
    const { database, wakeups } = this.dependencies
    const found = await database.transaction(async (manager) => {
      const result = await manager.update(App, { id, deletedAt: IsNull() }, { deletedAt: new Date() })
      if (result.affected === 0) return false
      await manager.query(
        `WITH busy AS (
           SELECT id FROM deployment WHERE app_id = $1 AND status IN ${IN_FLIGHT}
            ORDER BY id FOR NO KEY UPDATE
         )
         UPDATE deployment d SET cancel_requested_at = coalesce(cancel_requested_at, now())
           FROM busy WHERE d.id = busy.id`,
        [id],
      )
      return true
    })
    if (!found) return false
    wakeups.cancelRequested()
    wakeups.trafficMoved(ANY)
    wakeups.queueChanged()
    await this.#untilGone(id)
    return true
  }

  async #untilGone(appId: string): Promise<void> {
    const { database, wakeups } = this.dependencies
    const until = performance.now() + DELETE_WAIT_MS
    while (performance.now() < until && (await database.getRepository(App).existsBy({ id: appId }))) {
      const changed = new AbortController()
      const stop = wakeups.on('app', (id) => id === appId && changed.abort())
      await sleep(DELETE_POLL_MS, undefined, { signal: changed.signal }).catch(() => undefined)
      stop()
    }
  }
}

/** @throws CommandError NOT_FOUND; `field` is the API's name for where the id was given */
export async function getApp(manager: EntityManager, id: string, field = 'id'): Promise<App> {
  const app = await manager.findOneBy(App, { id, deletedAt: IsNull() })
  if (!app) throw new CommandError('NOT_FOUND', `there is no app ${id}`, field)
  return app
}

/** The same, and nobody else changes it until the transaction ends. */
async function lockApp(manager: EntityManager, id: string): Promise<App> {
  await manager.query('SELECT id FROM app WHERE id = $1 FOR NO KEY UPDATE', [id])
  return getApp(manager, id)
}
