import type { EntityManager } from 'typeorm'
import type { Stage } from '../../entities/stage.js'
import { Variable } from '../../entities/variable.js'
import { DotenvError, parseDotenv } from '../secrets/dotenv.js'
import { badInput } from '../errors.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import { checkVariables, type GivenVariable } from '../names.js'
import { sealedBytes } from '../secrets/secrets.js'
import { sealVariable } from '../secrets/variables.js'
import type { CommandDependencies } from './dependencies.js'
import { lockStage } from '../sql/locks.js'

export class VariableCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** Sets those that are given and leaves the others. Takes effect with the stage's next deployment. */
  set(stageId: string, variables: readonly GivenVariable[]): Promise<Stage> {
    return this.#store(stageId, 'variables', variables)
  }

  /** The same from the text of a .env file. What is wrong with it is said by line. */
  import(stageId: string, text: string): Promise<Stage> {
    return this.#store(stageId, 'text', readText('text', text))
  }

  async #store(stageId: string, field: string, variables: readonly GivenVariable[]): Promise<Stage> {
    checkVariables(field, variables)
    return this.dependencies.database.transaction(async (manager) => {
      await lockKeySharedToEncrypt(manager, this.dependencies.secrets)
      const stage = await lockStage(manager, stageId, 'stageId')
      // With those that are kept: all of a stage together are bounded.
      checkVariables(field, variables, await keptBytes(manager, stageId, variables))
      for (const variable of variables) {
        const sealed = {
          ...sealVariable(this.dependencies.secrets, stageId, variable),
          updatedAt: new Date(),
        }
        await manager.upsert(Variable, sealed, ['stageId', 'key'])
      }
      return stage
    })
  }

  /** A key that is not set counts as unset. Takes effect with the stage's next deployment. */
  unset(stageId: string, keys: readonly string[]): Promise<Stage> {
    return this.dependencies.database.transaction(async (manager) => {
      const stage = await lockStage(manager, stageId, 'stageId')
      // One parameter however many they are: PostgreSQL takes 65,535.
      await manager.query('DELETE FROM variable WHERE stage_id = $1 AND key = ANY($2)', [stageId, keys])
      return stage
    })
  }
}

function readText(field: string, text: string): GivenVariable[] {
  try {
    return parseDotenv(text)
  } catch (error) {
    throw error instanceof DotenvError ? badInput(field, error.message) : error
  }
}

/** Of the stage's variables that are not given anew. By their size as it is stored, so that none has to be opened. */
async function keptBytes(
  manager: EntityManager,
  stageId: string,
  variables: readonly GivenVariable[],
): Promise<number> {
  const stored = await manager.findBy(Variable, { stageId })
  const given = new Set(variables.map(({ key }) => key))
  const kept = stored.filter(({ key }) => !given.has(key))
  return kept.reduce((sum, { key, valueEncrypted }) => sum + key.length + sealedBytes(valueEncrypted), 0)
}
