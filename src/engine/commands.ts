import { type DataSource, type EntityManager, IsNull } from 'typeorm'
import { App } from '../entities/app.js'
import { DeploymentStatus, DeploymentTrigger, isSettled } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'
import { LogStream } from '../entities/log-stream.js'
import { Stage } from '../entities/stage.js'
import { Variable } from '../entities/variable.js'
import { CommandError } from './errors.js'
import {
  checkAppName,
  checkPath,
  checkPort,
  checkRef,
  checkRepoUrl,
  checkVariables,
  createId,
} from './names.js'
import { announceSettled } from './queue.js'
import type { SecretBox } from './secrets.js'
import { recordEvent, settle } from './states.js'
import { sealVariable } from './variables.js'
import type { Wakeups } from './wakeups.js'

export interface CreateAppCommand {
  readonly name: string
  readonly repoUrl: string
  readonly branch?: string | null
  readonly dockerfilePath?: string | null
  readonly contextPath?: string | null
  readonly port?: number | null
  readonly variables?: readonly { key: string; value: string }[] | null
  readonly deploy?: boolean | null
}

export interface UpdateAppCommand {
  readonly repoUrl?: string | null
  readonly branch?: string | null
  readonly dockerfilePath?: string | null
  readonly contextPath?: string | null
  readonly port?: number | null
}

export interface DeployCommand {
  readonly stage?: string | null
  readonly ref?: string | null
  readonly noCache?: boolean | null
  readonly idempotencyKey?: string | null
}

/** Pending deployments per stage; more are refused until one was claimed. */
const MAX_PENDING = 25
/** How long `deleteApp` waits for a worker to have removed what runs. */
const DELETE_WAIT_MS = 30_000

/**
 * What the API may ask of the engine. Each command is one transaction and then a wake-up; errors are
 * {@link CommandError} with the API's field name.
 */
export class Commands {
  constructor(
    private readonly database: DataSource,
    private readonly wakeups: Wakeups,
    private readonly secrets: SecretBox,
    private readonly settings: { readonly allowFileRepos: boolean },
  ) {}

  /** Creates the app, its production stage and, unless `deploy` is false, its first deployment. */
  async createApp(command: CreateAppCommand): Promise<App> {
    const variables = command.variables ?? []
    const app = {
      id: createId(),
      name: checkAppName('name', command.name),
      ...this.#source(command),
    }
    checkVariables('variables', variables)
    const [created, deployment] = await this.database.transaction(async (manager) => {
      await insertUnique(manager, app)
      const stage = await manager.save(Stage, { id: createId(), appId: app.id, name: 'production' })
      for (const variable of variables)
        await manager.insert(Variable, sealVariable(this.secrets, stage.id, variable))
      const first =
        command.deploy === false ? null : await enqueue(manager, stage, DeploymentTrigger.CREATE, {})
      return [await manager.findOneByOrFail(App, { id: app.id }), first] as const
    })
    if (deployment) this.#announceQueued(deployment)
    return created
  }

  async updateApp(id: string, command: UpdateAppCommand): Promise<App> {
    return this.database.transaction(async (manager) => {
      const app = await getApp(manager, id)
      const source = this.#source({
        repoUrl: command.repoUrl ?? app.repoUrl,
        branch: command.branch === undefined ? app.branch : command.branch,
        dockerfilePath: command.dockerfilePath === undefined ? app.dockerfilePath : command.dockerfilePath,
        contextPath: command.contextPath === undefined ? app.contextPath : command.contextPath,
        port: command.port === undefined ? app.port : command.port,
      })
      await manager.update(App, { id }, { ...source, updatedAt: new Date() })
      return manager.findOneByOrFail(App, { id })
    })
  }

  /**
   * Deletes an app with all that runs for it. It is gone from the API at once; then waits up to 30 s until a worker
   * has removed containers, images and rows. False: there is no such app.
   */
  async deleteApp(id: string): Promise<boolean> {
    const found = await this.database.transaction(async (manager) => {
      const result = await manager.update(App, { id, deletedAt: IsNull() }, { deletedAt: new Date() })
      if (result.affected === 0) return false
      await manager.query(
        `UPDATE deployment SET cancel_requested_at = coalesce(cancel_requested_at, now())
          WHERE app_id = $1 AND status IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING')`,
        [id],
      )
      return true
    })
    if (!found) return false
    this.wakeups.notify('cancel', '')
    this.wakeups.notify('route', id)
    this.wakeups.notify('queue', id)
    await this.#untilGone(id)
    return true
  }

  async deploy(appId: string, command: DeployCommand): Promise<Deployment> {
    const ref = command.ref ? checkRef('ref', command.ref) : null
    const key = command.idempotencyKey ?? null
    if (key !== null && (key.length < 1 || key.length > 200)) {
      throw new CommandError(
        'BAD_USER_INPUT',
        'idempotencyKey: must have 1 to 200 characters',
        'idempotencyKey',
      )
    }
    const deployment = await this.database.transaction(async (manager) => {
      await getApp(manager, appId)
      const name = command.stage ?? 'production'
      // Locks the stage: two calls with the same key, and the bound on pending ones, are decided one after another.
      const stage = await manager.findOne(Stage, {
        where: { appId, name },
        lock: { mode: 'pessimistic_write' },
      })
      if (!stage) throw new CommandError('NOT_FOUND', `the app has no stage "${name}"`, 'stage')
      const earlier = key && (await manager.findOneBy(Deployment, { appId, idempotencyKey: key }))
      if (earlier) return earlier
      const options = { ref, noCache: command.noCache ?? false, idempotencyKey: key }
      return enqueue(manager, stage, DeploymentTrigger.MANUAL, options)
    })
    this.#announceQueued(deployment)
    return deployment
  }

  /** Cancels at once what waits, and asks the worker of what is under way. */
  async cancelDeployment(id: string): Promise<Deployment> {
    const deployment = await this.database.transaction(async (manager) => {
      const found = await manager.findOne(Deployment, { where: { id }, lock: { mode: 'pessimistic_write' } })
      if (!found) throw new CommandError('NOT_FOUND', `there is no deployment ${id}`, 'id')
      if (found.status === DeploymentStatus.RUNNING || found.status === DeploymentStatus.RETIRED) {
        throw new CommandError('CONFLICT', 'traffic has moved to it already: deploy again or roll back', 'id')
      }
      if (isSettled(found.status))
        throw new CommandError('CONFLICT', `it has ended already: ${found.status}`, 'id')
      if (found.status === DeploymentStatus.PENDING) {
        const claim = { deploymentId: id, epoch: found.epoch }
        const finished = { finished_at: new Date() }
        await settle(
          manager,
          claim,
          DeploymentStatus.CANCELLED,
          { text: 'Cancelled before it started.' },
          finished,
        )
      } else {
        await manager.update(Deployment, { id }, { cancelRequestedAt: new Date() })
      }
      return manager.findOneByOrFail(Deployment, { id })
    })
    announceSettled(this.wakeups, id)
    this.wakeups.notify('cancel', id)
    return deployment
  }

  #source(command: Omit<CreateAppCommand, 'name'>) {
    checkRepoUrl('repoUrl', command.repoUrl, this.settings.allowFileRepos)
    return {
      repoUrl: command.repoUrl,
      branch: command.branch ? checkRef('branch', command.branch) : null,
      dockerfilePath: checkPath('dockerfilePath', command.dockerfilePath ?? 'Dockerfile'),
      contextPath: checkPath('contextPath', command.contextPath ?? '.'),
      port: checkPort('port', command.port ?? null),
    }
  }

  #announceQueued(deployment: Deployment): void {
    this.wakeups.notify('deployment', deployment.id)
    this.wakeups.notify('queue', deployment.id)
  }

  async #untilGone(appId: string): Promise<void> {
    const until = Date.now() + DELETE_WAIT_MS
    while (Date.now() < until && (await this.database.getRepository(App).existsBy({ id: appId }))) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, 500)
        const stop = this.wakeups.on('app', (id) => id === appId && done())
        function done() {
          clearTimeout(timer)
          stop()
          resolve()
        }
      })
    }
  }
}

async function getApp(manager: EntityManager, id: string): Promise<App> {
  const app = await manager.findOneBy(App, { id, deletedAt: IsNull() })
  if (!app) throw new CommandError('NOT_FOUND', `there is no app ${id}`, 'id')
  return app
}

async function insertUnique(manager: EntityManager, app: Partial<App> & { name: string }): Promise<void> {
  const result = await manager.createQueryBuilder().insert().into(App).values(app).orIgnore().execute()
  if ((result.raw as unknown[]).length === 0) {
    throw new CommandError('CONFLICT', `name: there is an app "${app.name}" already; choose another`, 'name')
  }
}

async function enqueue(
  manager: EntityManager,
  stage: Stage,
  trigger: DeploymentTrigger,
  options: Partial<Pick<Deployment, 'ref' | 'noCache' | 'idempotencyKey'>>,
): Promise<Deployment> {
  const waiting = await manager.countBy(Deployment, { stageId: stage.id, status: DeploymentStatus.PENDING })
  if (waiting >= MAX_PENDING) {
    throw new CommandError(
      'QUEUE_FULL',
      `${waiting} deployments of this stage wait already: let one start first`,
    )
  }
  const id = createId()
  await manager.insert(Deployment, { id, appId: stage.appId, stageId: stage.id, trigger, ...options })
  await manager.insert(LogStream, { deploymentId: id })
  await recordEvent(manager, { deploymentId: id, epoch: 0 }, null, DeploymentStatus.PENDING, null)
  return manager.findOneByOrFail(Deployment, { id })
}
