import type { DataSource } from 'typeorm'
import { CommandError } from '../command-error.js'
import type { Queryable } from '../sql/queryable.js'
import { keyFile, type KeySettings, makeKeyFile, readKeys } from './master-key.js'
import { createId } from '../names.js'
import { DecryptError, keyIdOf, type SecretBox } from './secrets.js'

/** Shared by whoever copies or writes encrypted values, exclusive to whoever changes the key. */
const KEY_LOCK = 7_305_516_996

/** This process does not have the key that the database's values are encrypted with: it must not start. */
export class WrongKeyError extends Error {
  override name = 'WrongKeyError'
  readonly code = 'WRONG_MASTER_KEY'
}

/** This installation: its name in the labels of its containers, and what opens its secrets. */
export interface OpenInstance {
  readonly id: string
  readonly secrets: SecretBox
}

interface Row {
  readonly id: string
  readonly canary: string | null
}

/**
 * Reads which installation this is and the key of its secrets; both are made at the first start, and processes that
 * race agree on one. A first key is made in DATA_DIR only where nothing is encrypted yet.
 *
 * @throws WrongKeyError before anything is written, where the key does not open the canary
 */
export function openInstance(database: DataSource, settings: KeySettings): Promise<OpenInstance> {
  return database.transaction(async (manager) => {
    await lockKeyExclusive(manager)
    const found = await readInstance(manager)
    const needed = found?.canary ? keyIdOf(found.canary) : await keyIdInUse(manager)
    const secrets = await keysFor(needed, settings)
    const id = found?.id ?? createId()
    if (found?.canary) verifyKey(secrets, found.canary, id)
    if (!found) await manager.query('INSERT INTO instance (id) VALUES ($1)', [id])
    if (needed !== secrets.keyId || !found?.canary) {
      // Also where the key was changed: from here on a process that has only the one before writes nothing more.
      const canary = secrets.encrypt('canary', canaryAad(id))
      await manager.query('UPDATE instance SET canary = $2 WHERE id = $1', [id, canary])
    }
    return { id, secrets }
  })
}

/**
 * Keeps the key from being changed until the transaction ends. Called first in each transaction that copies encrypted
 * values: a copy could otherwise slip past a rotation and need a key that is forgotten afterwards.
 */
export async function lockKeyShared(manager: Queryable): Promise<void> {
  await manager.query('SELECT pg_advisory_xact_lock_shared($1)', [KEY_LOCK])
}

/**
 * The same for a transaction that encrypts.
 *
 * @throws CommandError CONFLICT where another process uses a newer key, which this one does not have
 */
export async function lockKeySharedToEncrypt(manager: Queryable, secrets: SecretBox): Promise<void> {
  await lockKeyShared(manager)
  const canary = (await readInstance(manager))?.canary
  if (!canary || secrets.hasKey(keyIdOf(canary))) return
  const message = 'the master key was changed: restart this server with the new one, then try again'
  throw new CommandError('CONFLICT', message)
}

/** Nobody reads to copy, or encrypts, until the transaction ends. */
export async function lockKeyExclusive(manager: Queryable): Promise<void> {
  await manager.query('SELECT pg_advisory_xact_lock($1)', [KEY_LOCK])
}

async function readInstance(manager: Queryable): Promise<Row | null> {
  const rows = await manager.query<Row[]>('SELECT id, canary FROM instance ORDER BY created_at LIMIT 1')
  return rows[0] ?? null
}

/** A database from before there was a canary. */
async function keyIdInUse(manager: Queryable): Promise<string | null> {
  const sql = 'SELECT value_encrypted AS value FROM variable ORDER BY updated_at DESC LIMIT 1'
  const rows = await manager.query<{ value: string }[]>(sql)
  return rows[0] ? keyIdOf(rows[0].value) : null
}

async function keysFor(needed: string | null, settings: KeySettings): Promise<SecretBox> {
  const known = await readKeys(settings)
  if (needed === null) return known ?? makeKeyFile(settings.dataDir)
  if (known?.hasKey(needed)) return known
  const source = settings.masterKey === null ? keyFile(settings.dataDir) : 'MASTER_KEY'
  const have = known ? `${source} is the key ${known.keyId}` : `${source} is missing`
  throw new WrongKeyError(
    `the secrets in this database are encrypted with the key ${needed}, but ${have}. ` +
      'Set MASTER_KEY to that key, or restore DATA_DIR/master-key from a backup. ' +
      'To change to a new key, set MASTER_KEY to it and MASTER_KEY_PREVIOUS to the current one',
  )
}

function verifyKey(secrets: SecretBox, canary: string, id: string): void {
  try {
    secrets.decrypt(canary, canaryAad(id))
  } catch (cause) {
    if (!(cause instanceof DecryptError)) throw cause
    const message = 'instance.canary in the database is damaged: restore the table "instance" from a backup'
    throw new WrongKeyError(message, { cause })
  }
}

function canaryAad(instanceId: string): string {
  return `canary|${instanceId}`
}
