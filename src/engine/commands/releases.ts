import { type EntityManager, IsNull } from 'typeorm'
import { DeploymentTrigger } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import type { Stage } from '../../entities/stage.js'
import { CommandError } from '../command-error.js'
import { lockKeyShared } from '../secrets/instance.js'
import { getApp } from './apps.js'
import { ADMIN, announceQueued, enqueue } from '../queue/enqueue.js'
import { asShown } from '../shown.js'
import { checkIdempotencyKey, findEarlier, onceMore } from './idempotency.js'
import type { CommandDependencies } from './dependencies.js'
import { lockStageOf } from '../sql/locks.js'

export interface RollbackCommand {
  readonly stage?: string | null
  readonly toDeploymentId?: string | null
  readonly idempotencyKey?: string | null
}

export interface PromoteCommand {
  readonly stage: string
  readonly idempotencyKey?: string | null
}

/** Deployments of images that are there already: nothing is built. */
export class ReleaseCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /**
   * A new deployment of an earlier image with that deployment's configuration. Default: the last one that served before
   * the current and ran another image, or with another configuration.
   */
  rollback(appId: string, command: RollbackCommand = {}): Promise<Deployment> {
    const { toDeploymentId } = command
    const idempotencyKey = checkIdempotencyKey(command.idempotencyKey)
    return this.#queue(async (manager) => {
      await lockKeyShared(manager)
      await getApp(manager, appId, 'appId')
      const stage = await lockStageOf(manager, appId, command.stage ?? 'production')
      const earlier = await findEarlier(manager, appId, idempotencyKey)
      if (earlier) return earlier
      const target = toDeploymentId
        ? await releaseOf(manager, stage, toDeploymentId)
        : await releaseBefore(manager, stage)
      const asked = { trigger: DeploymentTrigger.ROLLBACK, actor: ADMIN, idempotencyKey }
      const reason = `rollback to ${target.id}`
      return enqueue(manager, stage, { ...asked, ...sameAs(target), sourceId: target.id, reason })
    })
  }

  /** A new deployment of the same image in another stage of its app, with that stage's configuration. */
  promote(deploymentId: string, command: PromoteCommand): Promise<Deployment> {
    const idempotencyKey = checkIdempotencyKey(command.idempotencyKey)
    return this.#queue(async (manager) => {
      const found = await manager.findOneBy(Deployment, { id: deploymentId, app: { deletedAt: IsNull() } })
      if (!found) {
        throw new CommandError('NOT_FOUND', `there is no deployment ${deploymentId}`, 'deploymentId')
      }
      if (found.imageId === null) {
        throw new CommandError('CONFLICT', `deployment ${deploymentId} has no image (yet)`, 'deploymentId')
      }
      const stage = await lockStageOf(manager, found.appId, command.stage)
      const earlier = await findEarlier(manager, found.appId, idempotencyKey)
      if (earlier) return earlier
      if (stage.id === found.stageId) {
        const message = `deployment ${deploymentId} is already in this stage: deploy or roll back`
        throw new CommandError('CONFLICT', message, 'stage')
      }
      // Not its configuration: variables, limits and checks are the stage's that it is promoted to.
      const release = { ...sameAs(found), configuration: null }
      const asked = { trigger: DeploymentTrigger.PROMOTE, actor: ADMIN, idempotencyKey }
      const reason = `promotion of ${found.id}`
      return enqueue(manager, stage, { ...asked, ...release, sourceId: found.id, reason })
    })
  }

  async #queue(work: (manager: EntityManager) => Promise<Deployment>): Promise<Deployment> {
    const queued = await onceMore(() => this.dependencies.database.transaction(work))
    announceQueued(this.dependencies.wakeups, queued)
    return asShown(queued)
  }
}

/** What makes a deployment run as another one did. */
export function sameAs({ ref, imageId, commitSha, commitMessage, configuration }: Deployment) {
  return { ref, imageId, commitSha, commitMessage, configuration }
}

async function releaseOf(manager: EntityManager, stage: Stage, id: string): Promise<Deployment> {
  const found = await manager.findOneBy(Deployment, { id, stageId: stage.id })
  if (!found) {
    throw new CommandError('NOT_FOUND', `the stage has no deployment ${id}`, 'toDeploymentId')
  }
  if (found.liveAt === null || found.imageId === null) {
    throw new CommandError('CONFLICT', `deployment ${id} never served: choose one that did`, 'toDeploymentId')
  }
  return found
}

async function releaseBefore(manager: EntityManager, stage: Stage): Promise<Deployment> {
  const found = await manager
    .createQueryBuilder(Deployment, 'd')
    .where(`d.stageId = :stageId AND d.liveAt IS NOT NULL AND d.status = 'RETIRED' AND d.imageId IS NOT NULL`)
    .andWhere('d.id IS DISTINCT FROM :current')
    // What a restart has replaced is the current release once more: nobody means that one.
    .andWhere(
      `NOT EXISTS (SELECT 1 FROM deployment now WHERE now.id = :current
         AND now.image_id = d.image_id AND now.configuration IS NOT DISTINCT FROM d.configuration)`,
    )
    .setParameters({ stageId: stage.id, current: stage.currentDeploymentId })
    .orderBy('d.liveAt', 'DESC')
    .limit(1)
    .getOne()
  if (!found) {
    throw new CommandError('CONFLICT', 'this stage has no earlier release to roll back to')
  }
  return found
}
