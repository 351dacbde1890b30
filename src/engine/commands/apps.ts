import { IN_FLIGHT } from '../sql/predicates.js'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EntityManager, IsNull } from 'typeorm'
import { App } from '../../entities/app.js'
import { DeploymentTrigger } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { Stage } from '../../entities/stage.js'
import { Variable } from '../../entities/variable.js'
import { type BuildArg, checkBuildArgs, checkPlatform, checkTarget } from '../configuration/build-options.js'
import { CommandError } from '../errors.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import {
  checkAppName,
  checkPath,
  checkPort,
  checkRef,
  checkRepoUrl,
  checkStageHost,
  checkVariables,
  createId,
  type GivenVariable,
} from '../names.js'
import { sealVariable } from '../secrets/variables.js'
import { checkWatchPaths } from '../webhooks/globs.js'
import { ANY } from '../wakeups/wakeups.js'
import type { CommandDependencies } from './dependencies.js'
import { announceQueued, enqueue } from '../queue/enqueue.js'

export interface UpdateAppCommand {
  readonly repoUrl?: string | null
  readonly branch?: string | null
  readonly dockerfilePath?: string | null
  readonly contextPath?: string | null
  readonly target?: string | null
  readonly buildArgs?: readonly BuildArg[] | null
  readonly platform?: string | null
  readonly port?: number | null
  readonly watchPaths?: readonly string[] | null
}

export interface CreateAppCommand extends UpdateAppCommand {
  readonly name: string
  readonly repoUrl: string
  readonly variables?: readonly GivenVariable[] | null
  readonly deploy?: boolean | null
}

/** How long `delete` waits for a worker to have removed what runs. */
const DELETE_WAIT_MS = 30_000
const DELETE_POLL_MS = 500

export class AppCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** Creates the app, its production stage and, unless `deploy` is false, its first deployment. */
  async create(command: CreateAppCommand): Promise<App> {
    const { database, wakeups, secrets } = this.dependencies
    const variables = command.variables ?? []
    const app = {
      id: createId(),
      name: checkAppName('name', command.name),
      ...this.#source(command),
    }
    checkStageHost(app.name, 'production', this.dependencies.settings)
    checkVariables('variables', variables)
    const [created, deployment] = await database.transaction(async (manager) => {
      if (variables.length > 0) await lockKeySharedToEncrypt(manager, secrets)
      await refuseOwnName(manager, app.name)
      await insertUnique(manager, app)
      const stage = await manager.save(Stage, { id: createId(), appId: app.id, name: 'production' })
      for (const variable of variables)
        await manager.insert(Variable, sealVariable(secrets, stage.id, variable))
      const first =
        command.deploy === false ? null : await enqueue(manager, stage, { trigger: DeploymentTrigger.CREATE })
      return [await manager.findOneByOrFail(App, { id: app.id }), first] as const
    })
    if (deployment) announceQueued(wakeups, deployment)
    return created
  }

  async update(id: string, command: UpdateAppCommand): Promise<App> {
    return this.dependencies.database.transaction(async (manager) => {
      const app = await lockApp(manager, id)
      const buildArgs = Object.entries(app.buildArgs).map(([key, value]) => ({ key, value }))
      const source = this.#source({
        repoUrl: command.repoUrl ?? app.repoUrl,
        branch: command.branch === undefined ? app.branch : command.branch,
        dockerfilePath: command.dockerfilePath === undefined ? app.dockerfilePath : command.dockerfilePath,
        contextPath: command.contextPath === undefined ? app.contextPath : command.contextPath,
        target: command.target === undefined ? app.target : command.target,
        buildArgs: command.buildArgs === undefined ? buildArgs : command.buildArgs,
        platform: command.platform === undefined ? app.platform : command.platform,
        port: command.port === undefined ? app.port : command.port,
        watchPaths: command.watchPaths === undefined ? app.watchPaths : command.watchPaths,
      })
      await manager.update(App, { id }, { ...source, updatedAt: new Date() })
      return manager.findOneByOrFail(App, { id })
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

  #source(command: Omit<CreateAppCommand, 'name'>) {
    checkRepoUrl('repoUrl', command.repoUrl, this.dependencies.settings.allowFileRepos)
    return {
      repoUrl: command.repoUrl,
      branch: command.branch ? checkRef('branch', command.branch) : null,
      dockerfilePath: checkPath('dockerfilePath', command.dockerfilePath ?? 'Dockerfile'),
      contextPath: checkPath('contextPath', command.contextPath ?? '.'),
      target: checkTarget('target', command.target ?? null),
      buildArgs: checkBuildArgs('buildArgs', command.buildArgs ?? []),
      platform: checkPlatform('platform', command.platform ?? null),
      port: checkPort('port', command.port ?? null),
      watchPaths: checkWatchPaths('watchPaths', command.watchPaths ?? []),
    }
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

/** Containers and own hosts of deployments are named `{app}-{id}`: an app of such a name would take both. */
async function refuseOwnName(manager: EntityManager, name: string): Promise<void> {
  const at = name.lastIndexOf('-')
  const found = await manager.findOneBy(Deployment, {
    id: name.slice(at + 1),
    app: { name: name.slice(0, at) },
  })
  if (!found) return
  const message = `name: "${name}" is what the containers of a deployment are called; choose another`
  throw new CommandError('CONFLICT', message, 'name')
}

async function insertUnique(manager: EntityManager, app: Partial<App> & { name: string }): Promise<void> {
  const result = await manager.createQueryBuilder().insert().into(App).values(app).orIgnore().execute()
  if ((result.raw as unknown[]).length === 0) {
    throw new CommandError('CONFLICT', `name: there is an app "${app.name}" already; choose another`, 'name')
  }
}
