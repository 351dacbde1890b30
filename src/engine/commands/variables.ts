import { type EntityManager, In, Not } from 'typeorm'
import type { Stage } from '../../entities/stage.js'
import { Variable } from '../../entities/variable.js'
import { DotenvError, parseDotenv } from '../secrets/dotenv.js'
import { badFields } from '../command-error.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import { checkVariables, type GivenVariable } from '../names.js'
import { sealedBytes } from '../secrets/secrets.js'
import { sealVariable } from '../secrets/variables.js'
import { changeNode } from './change-node.js'
import type { CommandDependencies } from './dependencies.js'
import { lockStage } from '../sql/locks.js'

/** What would change, by key. */
export interface VariablesPreview {
  readonly added: string[]
  readonly changed: string[]
  readonly unchanged: string[]
  readonly removed: string[]
}

interface GivenVariables {
  /** Where they were given, by the API's name. */
  readonly field: string
  readonly variables: readonly GivenVariable[]
  /** Whether those that are not among them go. */
  readonly replaces: boolean
}

export class VariableCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** Sets those that are given; takes effect with the stage's next deployment. */
  set(stageId: string, variables: readonly GivenVariable[], replaces = false): Promise<Stage> {
    return this.#store(stageId, { field: 'variables', variables, replaces })
  }

  /** The same from the text of a .env file. What is wrong with it is said by line. */
  import(stageId: string, text: string, replaces = false): Promise<Stage> {
    return this.#store(stageId, { field: 'text', variables: readText('text', text), replaces })
  }

  /** What an import would change, and changes nothing. @throws CommandError as the import would */
  async preview(stageId: string, text: string, replaces = false): Promise<VariablesPreview> {
    const { database, secrets } = this.dependencies
    const variables = readText('text', text)
    checkVariables('text', variables)
    return database.transaction(async (manager) => {
      await lockStage(manager, stageId, 'stageId')
      const kept = replaces ? 0 : await keptBytes(manager, stageId, variables)
      checkVariables('text', variables, kept)
      const stored = new Map((await manager.findBy(Variable, { stageId })).map((one) => [one.key, one]))
      const given = new Map(variables.map(({ key, value }) => [key, secrets.fingerprint(value)]))
      const keys = [...given.keys()].sort()
      const isSame = (key: string) => stored.get(key)?.fingerprint === given.get(key)
      return {
        added: keys.filter((key) => !stored.has(key)),
        changed: keys.filter((key) => stored.has(key) && !isSame(key)),
        unchanged: keys.filter(isSame),
        removed: replaces ? [...stored.keys()].filter((key) => !given.has(key)).sort() : [],
      }
    })
  }

  async #store(stageId: string, { field, variables, replaces }: GivenVariables): Promise<Stage> {
    checkVariables(field, variables)
    return changeNode(this.dependencies, stageId, async (manager) => {
      await lockKeySharedToEncrypt(manager, this.dependencies.secrets)
      const stage = await lockStage(manager, stageId, 'stageId')
      // With those that are kept: all of a stage together are bounded.
      const kept = replaces ? 0 : await keptBytes(manager, stageId, variables)
      checkVariables(field, variables, kept)
      const keys = variables.map(({ key }) => key)
      if (replaces) await manager.delete(Variable, { stageId, key: Not(In(keys)) })
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
    return changeNode(this.dependencies, stageId, async (manager) => {
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
    if (!(error instanceof DotenvError)) throw error
    throw badFields(error.problems.map((message) => ({ field, message })))
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
