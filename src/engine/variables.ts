import type { DataSource } from 'typeorm'
import { Variable } from '../entities/variable.js'
import { DeployError } from './errors.js'
import { DecryptError, type SecretBox } from './secrets.js'

/** A variable as it is stored: encrypted, with a fingerprint. */
export function sealVariable(
  secrets: SecretBox,
  stageId: string,
  { key, value }: { key: string; value: string },
): Pick<Variable, 'stageId' | 'key' | 'valueEncrypted' | 'fingerprint'> {
  const valueEncrypted = secrets.encrypt(value, variablePlace(stageId, key))
  return { stageId, key, valueEncrypted, fingerprint: secrets.fingerprint(value) }
}

/** What a variable's ciphertext is bound to. */
function variablePlace(stageId: string, key: string): string {
  return `variable|${stageId}|${key}`
}

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
