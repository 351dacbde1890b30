import type { Configuration, StoredVariable } from '../../entities/configuration.js'
import type { Variable } from '../../entities/variable.js'
import { DeployError } from '../errors.js'
import type { GivenVariable } from '../names.js'
import { DecryptError, type SecretBox } from './secrets.js'

/** A variable as it is stored: encrypted, with a fingerprint. */
export function sealVariable(
  secrets: SecretBox,
  stageId: string,
  { key, value, buildSecret }: GivenVariable,
): Pick<Variable, 'stageId' | 'key' | 'valueEncrypted' | 'fingerprint'> & { buildSecret?: boolean } {
  const valueEncrypted = secrets.encrypt(value, variableAad(stageId, key))
  // A new value alone must not hand a build's secret to the container.
  const kind = buildSecret === undefined || buildSecret === null ? {} : { buildSecret }
  return { stageId, key, valueEncrypted, fingerprint: secrets.fingerprint(value), ...kind }
}

/** Additional authenticated data of a variable: its ciphertext decrypts in no other row. */
export function variableAad(stageId: string, key: string): string {
  return `variable|${stageId}|${key}`
}

/** Decrypts a stage's variables. @throws DeployError SECRET_UNREADABLE: nothing is deployed without them */
export function openVariables(
  secrets: SecretBox,
  stageId: string,
  stored: readonly StoredVariable[],
): Map<string, string> {
  const open = ({ key, valueEncrypted }: StoredVariable) =>
    secrets.decrypt(valueEncrypted, variableAad(stageId, key))
  try {
    return new Map(stored.map((variable) => [variable.key, open(variable)]))
  } catch (error) {
    if (!(error instanceof DecryptError)) throw error
    const message = `${error.message}: restore the key, or set the variable again and deploy`
    throw new DeployError(error.code, message, { cause: error })
  }
}

/** What a deployment's container gets, and what only its build may know. @throws DeployError SECRET_UNREADABLE */
export function openConfiguration(
  secrets: SecretBox,
  stageId: string,
  { variables }: Pick<Configuration, 'variables'>,
): { variables: Map<string, string>; buildSecrets: Map<string, string> } {
  const open = (wanted: boolean) =>
    openVariables(
      secrets,
      stageId,
      variables.filter(({ buildSecret }) => (buildSecret ?? false) === wanted),
    )
  return { variables: open(false), buildSecrets: open(true) }
}
