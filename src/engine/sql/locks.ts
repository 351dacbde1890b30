import { type EntityManager, IsNull } from 'typeorm'
import { Stage } from '../../entities/stage.js'
import type { Queryable } from './queryable.js'
import { CommandError } from '../command-error.js'

/**
 * The stage, locked until the transaction ends: what is decided about it is decided one after another. NO KEY,
 * here and everywhere: whoever changes a deployment twice in a transaction has its foreign keys checked, which would wait
 * for the stage while the holder of the stage waits for the deployment.
 */
export async function lockStage(manager: EntityManager, id: string, field = 'id'): Promise<Stage> {
  if (!(await manager.existsBy(Stage, { id, app: { deletedAt: IsNull() } }))) {
    throw new CommandError('NOT_FOUND', `there is no stage ${id}`, field)
  }
  return manager.findOneOrFail(Stage, { where: { id }, lock: { mode: 'for_no_key_update' } })
}

/** The same by its app and name. */
export async function lockStageOf(manager: EntityManager, appId: string, name: string): Promise<Stage> {
  const stage = await manager.findOne(Stage, { where: { appId, name }, lock: { mode: 'for_no_key_update' } })
  if (!stage) throw new CommandError('NOT_FOUND', `the app has no stage "${name}"`, 'stage')
  return stage
}

/** The row alone, of a stage that is known to be there or may have gone. */
export async function lockStageRow(manager: Queryable, id: string): Promise<void> {
  await manager.query('SELECT id FROM stage WHERE id = $1 FOR NO KEY UPDATE', [id])
}
