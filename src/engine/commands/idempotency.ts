import type { EntityManager } from 'typeorm'
import { Deployment } from '../../entities/deployment.js'
import { badInput } from '../command-error.js'
import { violatesUnique } from '../sql/errors.js'

const MAX_KEY_LENGTH = 200

/** @throws CommandError BAD_USER_INPUT */
export function checkIdempotencyKey(key: string | null = null): string | null {
  if (key === null || (key.length >= 1 && key.length <= MAX_KEY_LENGTH)) return key
  throw badInput('idempotencyKey', `must have 1 to ${MAX_KEY_LENGTH} characters`)
}

/** The deployment of the app that an earlier call with the same key has queued. */
export function findEarlier(
  manager: EntityManager,
  appId: string,
  idempotencyKey: string | null,
): Promise<Deployment | null> {
  if (idempotencyKey === null) return Promise.resolve(null)
  return manager.findOneBy(Deployment, { appId, idempotencyKey })
}

/** Tries once more when a call with the same key, for another stage whose lock holds nobody up, was committed meanwhile. */
export async function onceMore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!violatesUnique(error, 'deployment_idempotency_key')) throw error
    return work()
  }
}
