import { type EntityManager, In } from 'typeorm'
import type { Stage } from '../../entities/stage.js'
import { Variable } from '../../entities/variable.js'
import { checkVariables } from '../names.js'
import { openVariables, sealVariable } from '../variables.js'
import type { CommandParts } from './parts.js'
import { lockStage } from './stage-lock.js'

export class VariableCommands {
  constructor(private readonly parts: CommandParts) {}

  /** Sets those that are given and leaves the others. Takes effect with the stage's next deployment. */
  set(stageId: string, variables: readonly { key: string; value: string }[]): Promise<Stage> {
    checkVariables('variables', variables)
    return this.parts.database.transaction(async (manager) => {
      const stage = await lockStage(manager, stageId, 'stageId')
      await this.#checkTogether(manager, stageId, variables)
      for (const variable of variables) {
        const sealed = { ...sealVariable(this.parts.secrets, stageId, variable), updatedAt: new Date() }
        await manager.upsert(Variable, sealed, ['stageId', 'key'])
      }
      return stage
    })
  }

  /** A key that is not set counts as unset. Takes effect with the stage's next deployment. */
  unset(stageId: string, keys: readonly string[]): Promise<Stage> {
    return this.parts.database.transaction(async (manager) => {
      const stage = await lockStage(manager, stageId, 'stageId')
      if (keys.length > 0) await manager.delete(Variable, { stageId, key: In([...keys]) })
      return stage
    })
  }

  /** The bound of all together counts those that are kept as well. */
  async #checkTogether(
    manager: EntityManager,
    stageId: string,
    variables: readonly { key: string; value: string }[],
  ): Promise<void> {
    const stored = await manager.findBy(Variable, { stageId })
    const given = new Set(variables.map(({ key }) => key))
    const kept = stored.filter(({ key }) => !given.has(key))
    const opened = openVariables(this.parts.secrets, stageId, kept)
    checkVariables('variables', [...variables, ...[...opened].map(([key, value]) => ({ key, value }))])
  }
}
