import { DeploymentStatus, DeploymentTrigger, isSettled } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { badInput, CommandError } from '../errors.js'
import { checkRef } from '../names.js'
import { asShown } from '../shown.js'
import { NOW, settle } from '../queue/states.js'
import { getApp } from './apps.js'
import type { CommandDependencies } from './dependencies.js'
import { announceQueued, enqueue } from '../queue/enqueue.js'
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

const MAX_KEY_LENGTH = 200

export class DeploymentCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** A second call with the same idempotency key answers with the first call's deployment. */
  async deploy(appId: string, command: DeployCommand): Promise<Deployment> {
    const ref = command.ref ? checkRef('ref', command.ref) : null
    const key = checkKey(command.idempotencyKey ?? null)
    const request = { stage: command.stage ?? 'production', ref, key, noCache: command.noCache ?? false }
    const deployment = await this.#queueOnce(appId, request)
    announceQueued(this.dependencies.wakeups, deployment)
    return asShown(deployment)
  }

  async #queueOnce(appId: string, request: DeployRequest): Promise<Deployment> {
    try {
      return await this.#queue(appId, request)
    } catch (error) {
      // A call with the same key for another stage, which no lock of this stage's holds up, has just been committed.
      if ((error as { constraint?: string }).constraint !== 'deployment_idempotency_key') throw error
      return this.#queue(appId, request)
    }
  }

  #queue(appId: string, { stage: name, ref, key, noCache }: DeployRequest): Promise<Deployment> {
    return this.dependencies.database.transaction(async (manager) => {
      await getApp(manager, appId, 'appId')
      const stage = await lockStageOf(manager, appId, name)
      const earlier = key && (await manager.findOneBy(Deployment, { appId, idempotencyKey: key }))
      if (earlier) return earlier
      return enqueue(manager, stage, { trigger: DeploymentTrigger.MANUAL, ref, noCache, idempotencyKey: key })
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
        const patch = { finished_at: NOW }
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

function checkKey(key: string | null): string | null {
  if (key === null || (key.length >= 1 && key.length <= MAX_KEY_LENGTH)) return key
  throw badInput('idempotencyKey', `must have 1 to ${MAX_KEY_LENGTH} characters`)
}

function refuseSettled(status: DeploymentStatus): void {
  if (status === DeploymentStatus.RUNNING || status === DeploymentStatus.RETIRED) {
    throw new CommandError('CONFLICT', 'traffic has moved to it already: deploy again or roll back', 'id')
  }
  if (isSettled(status)) throw new CommandError('CONFLICT', `it has ended already: ${status}`, 'id')
}
