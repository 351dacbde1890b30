import { randomBytes } from 'node:crypto'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolderOf, writeSynced } from '../../durable-file.js'
import { freshBeside, readOrCreateFile, removeStale, SecretBox } from './secrets.js'

/** Where the key comes from. */
export interface KeySettings {
  readonly masterKey: string | null
  readonly masterKeyPrevious: string | null
  readonly dataDir: string
}

/** The file in DATA_DIR: one key a line, 32 bytes in hex. The first closes; a second is there during a rotation only. */
export function keyFile(dataDir: string): string {
  return join(dataDir, 'master-key')
}

/** MASTER_KEY and MASTER_KEY_PREVIOUS, or the keys in the file. Null: there is no key yet. */
export async function readKeys(settings: KeySettings): Promise<SecretBox | null> {
  const { masterKey, masterKeyPrevious, dataDir } = settings
  if (masterKey !== null) {
    return new SecretBox(keyOf(masterKey), masterKeyPrevious === null ? [] : [keyOf(masterKeyPrevious)])
  }
  await removeStale(keyFile(dataDir))
  const lines = await linesOf(keyFile(dataDir))
  return lines && boxOf(lines)
}

/** The key in the file, which is made where there is none. Two processes that race agree on one. */
export async function makeKeyFile(dataDir: string): Promise<SecretBox> {
  const { text } = await readOrCreateFile(keyFile(dataDir), newKey)
  return boxOf(text.split('\n'))
}

/** Puts a new key before the one in the file. Where a rotation was broken off there are two already: they stay. */
export async function addKey(dataDir: string): Promise<void> {
  const lines = await linesOf(keyFile(dataDir))
  if (lines?.length === 1) await replaceFile(keyFile(dataDir), [newKey(), ...lines])
}

/** Leaves the first key in the file and no other. */
export async function forgetPreviousKeys(dataDir: string): Promise<void> {
  const lines = await linesOf(keyFile(dataDir))
  if (lines && lines.length > 1) await replaceFile(keyFile(dataDir), lines.slice(0, 1))
}

function newKey(): string {
  return randomBytes(32).toString('hex')
}

function keyOf(text: string): Buffer {
  return Buffer.from(text, text.length === 64 ? 'hex' : 'base64')
}

function boxOf(lines: readonly string[]): SecretBox {
  const [key = Buffer.alloc(0), ...previous] = lines.map(keyOf)
  return new SecretBox(key, previous)
}

/** Null: there is no such file. @throws Error where it holds anything but keys */
async function linesOf(path: string): Promise<string[] | null> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const lines = text.split('\n').map((line) => line.trim())
  const keys = lines.filter((line) => line !== '')
  if (keys.length > 0 && keys.every((line) => /^([0-9a-f]{64}|[A-Za-z0-9+/]{43}=)$/i.test(line))) return keys
  throw new Error(`${path} does not hold a key of 32 bytes in hex: restore it from a backup`)
}

/** Whole or not at all, and on the disk before anything is encrypted with what it holds. */
async function replaceFile(path: string, lines: readonly string[]): Promise<void> {
  await removeStale(path)
  const fresh = freshBeside(path)
  await writeSynced(fresh, lines.map((line) => `${line}\n`).join(''), { flags: 'wx' })
  await rename(fresh, path)
  await syncFolderOf(path)
}
