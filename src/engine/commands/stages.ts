import { setTimeout as sleep } from 'node:timers/promises'
import { type EntityManager, In, IsNull } from 'typeorm'
import { DeploymentStatus, DeploymentTrigger, IN_FLIGHT_STATUSES } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { Stage } from '../../entities/stage.js'
import { checkAll, CommandError } from '../command-error.js'
import { lockKeyShared } from '../secrets/instance.js'
import { checkBranch } from '../ref-names.js'
import { checkStageHost, checkStageName, createId } from '../names.js'
import { announceStop, cancelAll, stopStage } from '../traffic/stop-stage.js'
import { getApp } from './apps.js'
import { ADMIN, announceQueued, enqueue } from '../queue/enqueue.js'
import { changeNode } from './change-node.js'
import type { CommandDependencies } from './dependencies.js'
import { checkIdempotencyKey, findEarlier, onceMore } from './idempotency.js'
import { sameAs } from './releases.js'
import { lockStage } from '../sql/locks.js'

/** How long `delete` waits for a deployment under way to end. */
const DELETE_WAIT_MS = 30_000
const DELETE_POLL_MS = 100

export class StageCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** A further stage of the app, with nothing in it yet: no variables, domains or deployments. */
  async create(appId: string, name: string, branch: string | null): Promise<Stage> {
    const checked = checkAll({
      name: () => checkStageName('name', name),
      branch: () => (branch ? checkBranch('branch', branch) : null),
    })
    const values = { id: createId(), appId, ...checked }
    return changeNode(this.dependencies, values.id, async (manager) => {
      const app = await getApp(manager, appId, 'appId')
      checkStageHost(app.name, values.name, this.dependencies.settings)
      const result = await manager
        .createQueryBuilder()
        .insert()
        .into(Stage)
        .values(values)
        .orIgnore()
        .execute()
      if ((result.raw as unknown[]).length === 0) {
        throw new CommandError('CONFLICT', `name: the app already has a stage "${name}"`, 'name')
      }
      return manager.findOneByOrFail(Stage, { id: values.id })
    })
  }

  /**
   * Stops the stage and removes it with its deployments, logs, variables and domains. False: there is no such stage.
   *
   * @throws CommandError CONFLICT for production, which goes with its app, and while a deployment does not end
   */
  async delete(id: string): Promise<boolean> {
    const { database, wakeups } = this.dependencies
    const stage = await database.getRepository(Stage).findOneBy({ id, app: { deletedAt: IsNull() } })
    if (!stage) return false
    if (stage.name === 'production') {
      throw new CommandError(
        'CONFLICT',
        'the production stage cannot be deleted without its app: delete the app',
        'id',
      )
    }
    await this.stop(id)
    const until = performance.now() + DELETE_WAIT_MS
    while (!(await this.#deleteIdle(id))) {
      if (performance.now() > until) {
        throw new CommandError('CONFLICT', 'a deployment of the stage is still running: try again', 'id')
      }
      await sleep(DELETE_POLL_MS)
    }
    wakeups.trafficMoved(id)
    wakeups.stageChanged(id) // the reconciler removes what ran
    return true
  }

  /** False: a deployment is under way, or another was asked for. */
  async #deleteIdle(id: string): Promise<boolean> {
    return this.dependencies.database.transaction(async (manager) => {
      await manager.findOne(Stage, { where: { id }, lock: { mode: 'for_no_key_update' } })
      const status = In([DeploymentStatus.PENDING, ...IN_FLIGHT_STATUSES])
      if (await manager.existsBy(Deployment, { stageId: id, status })) {
        await cancelAll(manager, id)
        return false
      }
      await manager.delete(Stage, { id })
      return true
    })
  }

  /**
   * The stage answers no more and its containers go; what waits or is under way for it is cancelled. `start` brings
   * back what served, a new deployment starts the stage as well.
   */
  async stop(id: string): Promise<Stage> {
    const { database, wakeups, settings } = this.dependencies
    const { stage, stopped } = await database.transaction(async (manager) => {
      const ended = await stopStage(manager, await lockStage(manager, id), settings)
      return { stage: await manager.findOneByOrFail(Stage, { id }), stopped: ended }
    })
    announceStop(wakeups, stopped)
    return stage
  }

  /**
   * Serves again what served when the stage was stopped; a stage that is not stopped is left as it is.
   *
   * @throws CommandError CONFLICT where nothing has run, or what ran has failed
   */
  async start(id: string): Promise<Stage> {
    const stage = await this.dependencies.database.transaction(async (manager) => {
      const found = await lockStage(manager, id)
      if (await isFailed(manager, found)) throw new CommandError('CONFLICT', HAS_FAILED, 'id')
      if (!found.stopped) return found
      if (!found.currentDeploymentId) throw new CommandError('CONFLICT', NEVER_RAN, 'id')
      await manager.update(Stage, { id }, { stopped: false })
      return manager.findOneByOrFail(Stage, { id })
    })
    this.#announce(id)
    return stage
  }

  /** A new deployment of the image that serves, with its configuration: no build, and no request is dropped. */
  async restart(id: string, idempotencyKey: string | null = null): Promise<Stage> {
    const key = checkIdempotencyKey(idempotencyKey)
    const { stage, queued } = await onceMore(() => this.#queueRestart(id, key))
    announceQueued(this.dependencies.wakeups, queued)
    return stage
  }

  #queueRestart(id: string, key: string | null): Promise<{ stage: Stage; queued: Deployment }> {
    return this.dependencies.database.transaction(async (manager) => {
      await lockKeyShared(manager)
      const found = await lockStage(manager, id)
      const earlier = await findEarlier(manager, found.appId, key)
      if (earlier) return { stage: found, queued: earlier }
      const serving = await manager.findOneBy(Deployment, { stageId: id, status: DeploymentStatus.RUNNING })
      if (!serving) {
        const failed = await isFailed(manager, found)
        throw new CommandError('CONFLICT', failed ? HAS_FAILED : found.stopped ? STOPPED : NEVER_RAN, 'id')
      }
      const deployment = await enqueue(manager, found, {
        ...{ trigger: DeploymentTrigger.MANUAL, actor: ADMIN, idempotencyKey: key },
        ...sameAs(serving),
        reason: `restart of ${serving.id}`,
      })
      return { stage: found, queued: deployment }
    })
  }

  #announce(id: string): void {
    this.dependencies.wakeups.trafficMoved(id)
    this.dependencies.wakeups.stageChanged(id)
  }
}

/** It failed when nothing had served before it: there is nothing to start. */
function isFailed(manager: EntityManager, { currentDeploymentId: id }: Stage): Promise<boolean> {
  return id === null
    ? Promise.resolve(false)
    : manager.existsBy(Deployment, { id, status: DeploymentStatus.FAILED })
}

const HAS_FAILED = 'its version failed: deploy another one, or roll back to one that served'
const NEVER_RAN = 'nothing has run in this stage yet: deploy first'
const STOPPED = 'the stage is stopped: start it'
