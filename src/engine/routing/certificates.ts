import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Logger } from '../../logger.js'
import { isResourceExhaustion } from '../resource-exhaustion.js'

interface Kept {
  /** Changes with the files. */
  readonly stamp: string
  /** Null: they could not be used when they were looked at. */
  readonly context: SecureContext | null
}

const FOLDER = /^(?:_\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/

/**
 * Certificates in a folder, as tools for them lay them down: `{host}/fullchain.pem` and `{host}/privkey.pem`; the
 * folder `_.example.com` is for every host one label below example.com.
 */
export class Certificates {
  #kept: ReadonlyMap<string, Kept> = new Map()

  constructor(
    private readonly folder: string,
    private readonly logger: Logger,
  ) {}

  /** The host's own certificate, else that of the wildcard above it, else null. */
  find(host: string): SecureContext | null {
    const wildcard = `_${host.slice(host.indexOf('.'))}`
    return this.#kept.get(host)?.context ?? this.#kept.get(wildcard)?.context ?? null
  }

  /**
   * Reads those that have changed. One that cannot be used, as between the writing of its two files, leaves the one
   * before it in use; it is said once.
   *
   * @throws Error when the folder cannot be read
   */
  async refresh(): Promise<void> {
    const kept = new Map<string, Kept>()
    for (const name of await readdir(this.folder)) {
      const found = FOLDER.test(name) ? await this.#read(name) : null
      if (found) kept.set(name, found)
    }
    this.#kept = kept
  }

  async #read(name: string): Promise<Kept | null> {
    const before = this.#kept.get(name)
    const paths = ['fullchain.pem', 'privkey.pem'].map((file) => join(this.folder, name, file))
    const stamp = await stampOf(paths)
    if (stamp === null || stamp === before?.stamp) return stamp === null ? null : (before ?? null)
    try {
      const [cert, key] = await Promise.all(paths.map((path) => readFile(path)))
      return { stamp, context: createSecureContext({ cert, key, minVersion: 'TLSv1.2' }) }
    } catch (error) {
      if (isResourceExhaustion(error)) return before ?? null // they are read again
      this.logger.warn('a certificate cannot be used', { host: name, error: (error as Error).message })
      return { stamp, context: before?.context ?? null }
    }
  }
}

/** Of what the names lead to: tools that renew certificates change a link. Null where a file is missing. */
async function stampOf(paths: readonly string[]): Promise<string | null> {
  try {
    const found = await Promise.all(paths.map((path) => stat(path)))
    return found.map(({ ino, size, mtimeMs, ctimeMs }) => [ino, size, mtimeMs, ctimeMs].join(':')).join(' ')
  } catch (error) {
    if (isResourceExhaustion(error)) throw error // what is there stays in use
    return null
  }
}
