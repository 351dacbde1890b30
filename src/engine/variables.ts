import type { DataSource } from 'typeorm'
import { Variable } from '../entities/variable.js'
import { variablePlace } from './commands.js'
import { DeployError } from './errors.js'
import { DecryptError, type SecretBox } from './secrets.js'

/** The decrypted variables of a stage. @throws DeployError VARIABLES_UNREADABLE: nothing is deployed without them */
export async function readVariables(
  database: DataSource,
  secrets: SecretBox,
  stageId: string,
): Promise<Map<string, string>> {
  const rows = await database.getRepository(Variable).find({ where: { stageId }, order: { key: 'ASC' } })
  try {
    return new Map(
      rows.map(({ key, valueEncrypted }) => [
        key,
        secrets.decrypt(valueEncrypted, variablePlace(stageId, key)),
      ]),
    )
  } catch (error) {
    if (!(error instanceof DecryptError)) throw error
    throw new DeployError(
      'VARIABLES_UNREADABLE',
      `${error.message}: restore the key, or set the variable again`,
    )
  }
}
