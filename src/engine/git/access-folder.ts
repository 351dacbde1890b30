import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.js'

/** Longer than any fetch may take (CLONE_TIMEOUT): one whose process cannot be looked at is left alone until then. */
const ABANDONED_MS = 25 * 60 * 60_000
const OWNER = 'owner.json'

/** A folder that only this account can look into, for what one conversation with a server is to be handed. */
export interface AccessFolder extends AsyncDisposable {
  readonly path: string
  /** Writes a file that only this account can read; gives its path. */
  write(name: string, text: string): Promise<string>
}

/** Makes a folder below `root`. Disposing removes it with all that is in it. */
export async function openAccessFolder(root: string): Promise<AccessFolder> {
  const path = join(root, randomUUID())
  await mkdir(path, { recursive: true, mode: 0o700 })
  const write = async (name: string, text: string) => {
    const file = join(path, name)
    await writeFile(file, text, { mode: 0o600, flag: 'wx' })
    return file
  }
  const remove = () => rm(path, { recursive: true, force: true })
  try {
    // First: whoever finds the folder can tell whether its process lives.
    await write(OWNER, JSON.stringify(await ownIdentity()))
  } catch (error) {
    await remove()
    throw error
  }
  return { path, write, [Symbol.asyncDispose]: remove }
}

/** Removes the folders of processes that were killed before they could. */
export async function removeAbandonedFolders(root: string): Promise<void> {
  const self = await ownIdentity()
  for (const name of await readdir(root).catch(() => [])) {
    const path = join(root, name)
    if (await isAbandoned(path, self)) await rm(path, { recursive: true, force: true })
  }
}

async function isAbandoned(path: string, self: ProcessIdentity): Promise<boolean> {
  const owner = await readFile(join(path, OWNER), 'utf8').catch(() => '')
  try {
    const alive = await isAlive(JSON.parse(owner) as ProcessIdentity, self)
    if (alive !== null) return !alive
  } catch {
    // Not written yet, or not to the end.
  }
  const made = await stat(path).catch(() => null)
  return made !== null && Date.now() - made.mtimeMs > ABANDONED_MS
}
