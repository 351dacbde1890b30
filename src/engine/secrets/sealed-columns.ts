import type { Configuration, StoredVariable } from '../../entities/configuration.js'
import { DecryptError, keyIdOf, type SecretBox } from './secrets.js'
import { sealVariable, variableAad } from './variables.js'
import { repositoryCredentialAad, statusTokenAad, webhookSecretAad } from './aad.js'

/** What one row becomes under another key. */
export interface Resealed {
  /** Parameters of {@link SealedColumn.replace}. */
  readonly parameters: readonly unknown[]
  /** How many values were encrypted again. */
  readonly count: number
  /** Values that no key of the box opens; they stay as they are. In words for the operator. */
  readonly unreadable: readonly string[]
}

/** A column that holds encrypted values, and how they are changed to another key. */
export interface SealedColumn {
  /** Rows, `at` first, with a value whose key is not $1, behind the row $2, in the order of `at`; the caller bounds and locks. */
  readonly find: string
  readonly reseal: (row: never, secrets: SecretBox) => Resealed
  readonly replace: string
}

interface VariableRow extends StoredVariable {
  readonly stageId: string
}

const VARIABLES: SealedColumn = {
  find: `SELECT v.stage_id || '/' || v.key AS at, v.stage_id AS "stageId", v.key, v.value_encrypted AS "valueEncrypted",
                v.fingerprint
           FROM variable v
          WHERE v.stage_id || '/' || v.key > $2 AND split_part(v.value_encrypted, ':', 2) <> $1`,
  reseal: ({ stageId, ...variable }: VariableRow, secrets) => {
    const { value, count, unreadable } = resealVariable(variable, stageId, secrets)
    return { parameters: [stageId, value.key, value.valueEncrypted, value.fingerprint], count, unreadable }
  },
  replace: 'UPDATE variable SET value_encrypted = $3, fingerprint = $4 WHERE stage_id = $1 AND key = $2',
}

interface SnapshotRow {
  readonly id: string
  readonly stageId: string
  readonly configuration: Configuration
}

const SNAPSHOTS: SealedColumn = {
  find: `SELECT d.id AS at, d.id, d.stage_id AS "stageId", d.configuration
           FROM deployment d
          WHERE d.id > $2 AND EXISTS (
            SELECT 1 FROM jsonb_array_elements(d.configuration -> 'variables') v
             WHERE split_part(v ->> 'valueEncrypted', ':', 2) <> $1)`,
  reseal: ({ id, stageId, configuration }: SnapshotRow, secrets) => {
    const all = configuration.variables.map((variable) => resealVariable(variable, stageId, secrets))
    const variables = all.map(({ value }) => value)
    return {
      parameters: [id, { ...configuration, variables }],
      count: all.reduce((sum, { count }) => sum + count, 0),
      unreadable: all.flatMap(({ unreadable }) => unreadable.map((what) => `${what} (deployment ${id})`)),
    }
  },
  replace: 'UPDATE deployment SET configuration = $2 WHERE id = $1',
}

interface AppRow {
  readonly appId: string
  readonly sealed: string
}

const WEBHOOKS: SealedColumn = {
  find: `SELECT w.app_id AS at, w.app_id AS "appId", w.secret_encrypted AS sealed FROM webhook w
          WHERE w.app_id > $2 AND split_part(w.secret_encrypted, ':', 2) <> $1`,
  reseal: (row: AppRow, secrets) => {
    const value = { aad: webhookSecretAad(row.appId), what: 'the webhook secret' }
    const { parameters, ...rest } = resealOfApp(row, value, secrets)
    return { parameters: parameters.slice(0, 2), ...rest } // it has no fingerprint
  },
  replace: 'UPDATE webhook SET secret_encrypted = $2 WHERE app_id = $1',
}

const STATUS_TOKENS: SealedColumn = {
  find: `SELECT t.app_id AS at, t.app_id AS "appId", t.token_encrypted AS sealed FROM commit_status_target t
          WHERE t.app_id > $2 AND split_part(t.token_encrypted, ':', 2) <> $1`,
  reseal: (row: AppRow, secrets) =>
    resealOfApp(row, { aad: statusTokenAad(row.appId), what: 'the status token' }, secrets),
  replace: 'UPDATE commit_status_target SET token_encrypted = $2, fingerprint = $3 WHERE app_id = $1',
}

const REPOSITORY_CREDENTIALS: SealedColumn = {
  find: `SELECT c.app_id AS at, c.app_id AS "appId", c.secret_encrypted AS sealed FROM repository_credential c
          WHERE c.app_id > $2 AND split_part(c.secret_encrypted, ':', 2) <> $1`,
  reseal: (row: AppRow, secrets) => {
    const value = { aad: repositoryCredentialAad(row.appId), what: 'the repository credential' }
    const { parameters, ...rest } = resealOfApp(row, value, secrets)
    return { parameters: parameters.slice(0, 2), ...rest } // it has no fingerprint
  },
  replace: 'UPDATE repository_credential SET secret_encrypted = $2 WHERE app_id = $1',
}

/**
 * Every column that holds encrypted values. One that is not in this list is lost at the next rotation. What is copied
 * from one to another stands before what it is copied to.
 */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  VARIABLES,
  SNAPSHOTS,
  WEBHOOKS,
  STATUS_TOKENS,
  REPOSITORY_CREDENTIALS,
]

/** The fingerprint changes with the key, so that equal values have equal ones again when all are done. */
function resealVariable(variable: StoredVariable, stageId: string, secrets: SecretBox) {
  const { key, valueEncrypted } = variable
  if (keyIdOf(valueEncrypted) === secrets.keyId) return { value: variable, count: 0, unreadable: [] }
  try {
    const value = secrets.decrypt(valueEncrypted, variableAad(stageId, key))
    const { stageId: _stage, ...sealed } = sealVariable(secrets, stageId, { key, value })
    return { value: { ...variable, ...sealed }, count: 1, unreadable: [] }
  } catch (error) {
    if (!(error instanceof DecryptError)) throw error
    return { value: variable, count: 0, unreadable: [`${key} of stage ${stageId}`] }
  }
}

/** Parameters: the app, the value under the box's key, its fingerprint. */
function resealOfApp(
  { appId, sealed }: AppRow,
  { aad, what }: { readonly aad: string; readonly what: string },
  secrets: SecretBox,
): Resealed {
  try {
    const value = secrets.decrypt(sealed, aad)
    const parameters = [appId, secrets.encrypt(value, aad), secrets.fingerprint(value)]
    return { parameters, count: 1, unreadable: [] }
  } catch (error) {
    if (!(error instanceof DecryptError)) throw error
    return { parameters: [], count: 0, unreadable: [`${what} of app ${appId}`] }
  }
}
