import type { StoredVariable } from '../entities/configuration.js'
import type { Variable } from '../entities/variable.js'
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
export function variablePlace(stageId: string, key: string): string {
  return `variable|${stageId}|${key}`
}

/** Decrypts a stage's variables. @throws DeployError SECRET_UNREADABLE: nothing is deployed without them */
export function openVariables(
  secrets: SecretBox,
  stageId: string,
  stored: readonly StoredVariable[],
): Map<string, string> {
  const open = ({ key, valueEncrypted }: StoredVariable) =>
    secrets.decrypt(valueEncrypted, variablePlace(stageId, key))
  try {
    return new Map(stored.map((variable) => [variable.key, open(variable)]))
  } catch (error) {
    if (!(error instanceof DecryptError)) throw error
    const message = `${error.message}: restore the key, or set the variable again and deploy`
    throw new DeployError(error.code, message, { cause: error })
  }
}
