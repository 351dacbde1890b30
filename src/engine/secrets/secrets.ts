import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** A shorter tag would be accepted otherwise, and could be guessed. */
const TAG = { authTagLength: 16 }
/** Writing a secret file takes milliseconds. */
const STALE_MS = 60 * 60_000

/** A stored value that this key does not open: the key is another one, or the row was changed. */
export class DecryptError extends Error {
  override name = 'DecryptError'
  readonly code = 'SECRET_UNREADABLE'
}

/**
 * Encrypts what is stored: AES-256-GCM, with what the value belongs to as additional authenticated data (AAD), so that a
 * value cannot be moved to another row. The newest key encrypts; the others only decrypt what has not been encrypted again
 * since the key was changed.
 */
export class SecretBox {
  readonly #key: Buffer
  readonly #keys: ReadonlyMap<string, Buffer>
  /** Names the key that encrypts; tells nothing about it. 8 hex digits. */
  readonly keyId: string

  constructor(key: Buffer, previous: readonly Buffer[] = []) {
    this.#key = key
    this.keyId = idOf(key)
    this.#keys = new Map([...previous, key].map((one) => [idOf(one), one]))
  }

  /** Whether it decrypts what an earlier key encrypted. */
  get hasPrevious(): boolean {
    return this.#keys.size > 1
  }

  /** Whether the key of this id is one of those that decrypt. */
  hasKey(keyId: string): boolean {
    return this.#keys.has(keyId)
  }

  /** @param aad what the value belongs to; needed again to decrypt. Format: `v1:keyId:iv:text:tag`. */
  encrypt(text: string, aad: string): string {
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv, TAG).setAAD(fullAad(this.keyId, aad))
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    const parts = [iv, sealed, cipher.getAuthTag()].map((part) => part.toString('base64'))
    return ['v1', this.keyId, ...parts].join(':')
  }

  /** @throws DecryptError */
  decrypt(stored: string, aad: string): string {
    const [version, keyId, iv, sealed, tag] = stored.split(':')
    if (version !== 'v1' || !keyId || iv === undefined || sealed === undefined || !tag) {
      throw new DecryptError(`the stored value of ${aad} is damaged`)
    }
    const key = this.#keys.get(keyId)
    if (!key) {
      const message = `the value of ${aad} was encrypted with the key ${keyId}, which this server does not have (MASTER_KEY, MASTER_KEY_PREVIOUS)`
      throw new DecryptError(message)
    }
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64'), TAG)
      decipher.setAAD(fullAad(keyId, aad)).setAuthTag(Buffer.from(tag, 'base64'))
      return decipher.update(sealed, 'base64', 'utf8') + decipher.final('utf8')
    } catch (cause) {
      throw new DecryptError(`the stored value of ${aad} does not decrypt`, { cause })
    }
  }

  /** Equal for equal values under one key, and tells nothing else. 16 hex digits. */
  fingerprint(text: string): string {
    return createHmac('sha256', this.#key).update('fingerprint').update(text).digest('hex').slice(0, 16)
  }
}

/** The id of the key that a stored value was encrypted with; empty where it is none. */
export function keyIdOf(stored: string): string {
  return stored.split(':')[1] ?? ''
}

/** Length in bytes of the text that a stored value holds: GCM adds nothing to it. */
export function sealedBytes(stored: string): number {
  return Buffer.from(stored.split(':')[3] ?? '', 'base64').length
}

function idOf(key: Buffer): string {
  return createHash('sha256').update('key-id').update(key).digest('hex').slice(0, 8)
}

function fullAad(keyId: string, aad: string): Buffer {
  return Buffer.from(`${keyId}|${aad}`)
}

/** Reads a secret file; makes it with mode 0600 where there is none. Two processes that race agree on one. */
export async function readOrCreateFile(
  path: string,
  make: () => string,
): Promise<{ text: string; isNew: boolean }> {
  await mkdir(dirname(path), { recursive: true })
  await removeStale(path)
  const known = await readText(path)
  if (known) return { text: known, isNew: false }
  if (known === '')
    throw new Error(`${path} is empty: restore it from a backup, or delete it to generate a new one`)
  // Written whole beside its place and linked to it, so that nobody ever reads half of it.
  const fresh = freshBeside(path)
  const text = make()
  await writeFile(fresh, `${text}\n`, { mode: 0o600, flag: 'wx' })
  try {
    await link(fresh, path)
    return { text, isNew: true }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return { text: (await readFile(path, 'utf8')).trim(), isNew: false }
  } finally {
    await rm(fresh, { force: true })
  }
}

/** What a secret file is written as before it takes its place. No backup of a person's has such a name. */
export function freshBeside(path: string): string {
  return `${path}.${randomBytes(4).toString('hex')}.new`
}

/**
 * Removes what processes left that were killed while they wrote a secret file: it holds a secret. None takes a second, and
 * one that had been stopped for an hour fails and is started again.
 */
export async function removeStale(path: string): Promise<void> {
  const isFresh = (name: string) => name.startsWith(`${basename(path)}.`) && /\.[0-9a-f]{8}\.new$/.test(name)
  const names = await readdir(dirname(path)).catch(() => [])
  for (const name of names.filter(isFresh)) {
    const left = join(dirname(path), name)
    const written = await stat(left).catch(() => null)
    if (written && Date.now() - written.mtimeMs > STALE_MS) await rm(left, { force: true })
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
