import type { EntityManager } from 'typeorm'
import type { CommandDependencies } from './dependencies.js'

/** Does `work` in a transaction and then wakes those who follow changes. `id`: of the app or stage. */
export async function changeNode<T>(
  { database, wakeups }: CommandDependencies,
  id: string,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  const result = await database.transaction(work)
  wakeups.nodeChanged(id)
  return result
}
