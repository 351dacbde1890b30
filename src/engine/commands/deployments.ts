import { DeploymentStatus, DeploymentTrigger, isSettled } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { CommandError } from '../command-error.js'
import { checkRef } from '../ref-names.js'
import { asShown } from '../shown.js'
import { NOW, settle } from '../queue/states.js'
import { getApp } from './apps.js'
import { checkIdempotencyKey, findEarlier, onceMore } from './idempotency.js'
import type { CommandDependencies } from './dependencies.js'
import { ADMIN, announceQueued, enqueue } from '../queue/enqueue.js'
import { lockStageOf } from '../sql/locks.js'

export interface DeployCommand {
  readonly stage?: string | null
  readonly ref?: string | null
  readonly noCache?: boolean | null
  readonly idempotencyKey?: string | null
}

interface DeployRequest {
  readonly stage: string
  readonly ref: string | null
  readonly key: string | null
  readonly noCache: boolean
}

export class DeploymentCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** A second call with the same idempotency key answers with the first call's deployment. */
  async deploy(appId: string, command: DeployCommand): Promise<Deployment> {
    const ref = command.ref ? checkRef('ref', command.ref) : null
    const key = checkIdempotencyKey(command.idempotencyKey)
    const request = { stage: command.stage ?? 'production', ref, key, noCache: command.noCache ?? false }
    const deployment = await onceMore(() => this.#queue(appId, request))
    announceQueued(this.dependencies.wakeups, deployment)
    return asShown(deployment)
  }

  #queue(appId: string, { stage: name, ref, key, noCache }: DeployRequest): Promise<Deployment> {
    return this.dependencies.database.transaction(async (manager) => {
      await getApp(manager, appId, 'appId')
      const stage = await lockStageOf(manager, appId, name)
      const earlier = await findEarlier(manager, appId, key)
      if (earlier) return earlier
      const asked = { trigger: DeploymentTrigger.MANUAL, actor: ADMIN }
      return enqueue(manager, stage, { ...asked, ref, noCache, idempotencyKey: key })
    })
  }

  /** Cancels at once what waits, and asks the worker of what is under way. */
  async cancel(id: string): Promise<Deployment> {
    const deployment = await this.dependencies.database.transaction(async (manager) => {
      const found = await manager.findOne(Deployment, { where: { id }, lock: { mode: 'for_no_key_update' } })
      if (!found) throw new CommandError('NOT_FOUND', `there is no deployment ${id}`, 'id')
      refuseSettled(found.status)
      if (found.status === DeploymentStatus.PENDING) {
        const claim = { deploymentId: id, epoch: found.epoch }
        const text = 'Cancelled before it started.'
        const patch = { finishedAt: NOW }
        await settle(manager, claim, { to: DeploymentStatus.CANCELLED, text, patch })
      } else {
        await manager.update(Deployment, { id }, { cancelRequestedAt: new Date() })
      }
      return manager.findOneByOrFail(Deployment, { id })
    })
    this.dependencies.wakeups.deploymentSettled(id)
    this.dependencies.wakeups.cancelRequested()
    return deployment
  }
}

function refuseSettled(status: DeploymentStatus): void {
  if (status === DeploymentStatus.RUNNING || status === DeploymentStatus.RETIRED) {
    throw new CommandError('CONFLICT', 'traffic has already moved to it: deploy again or roll back', 'id')
  }
  if (isSettled(status)) throw new CommandError('CONFLICT', `it has already ended: ${status}`, 'id')
}
