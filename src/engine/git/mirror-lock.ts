import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.js'

const RETRY_MS = 50
/** Who holds a lock says this often that it still does … */
const RENEW_MS = 3_000
/** … and where nobody can see whether it lives, it is believed for so long. */
const LOCK_TTL_MS = 30_000

/**
 * Runs `work` while no other process of this machine changes the mirror at `folder`, in whatever container it is:
 * `git fetch --depth` writes the repository's one list of shallow commits.
 *
 * The lock names its process; one whose process is dead is taken over, at once or, where that cannot be seen from here,
 * 30 s after its last sign of life. What a dead one left half-done in the mirror (git's own lock files) is removed.
 */
export async function withMirrorLock<T>(
  folder: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const path = `${folder}.lock`
  const holder = randomUUID()
  const self = await ownIdentity()
  while (!((await isFree(path, self)) && (await tryLock(path, holder, self)))) {
    await sleep(RETRY_MS, undefined, { signal })
  }
  const renewing = setInterval(() => void renew(join(path, holder)), RENEW_MS).unref()
  try {
    await removeLeftovers(folder)
    return await work()
  } finally {
    clearInterval(renewing)
    await rm(join(path, holder), { force: true })
    await rmdir(path).catch(() => undefined) // somebody else has it already
  }
}

/**
 * A lock is a folder with its holder in it, moved to its place whole: that succeeds where there is none, or an empty
 * one, and of several who try at once for one of them.
 */
async function tryLock(path: string, holder: string, self: ProcessIdentity): Promise<boolean> {
  const made = `${path}.${holder}`
  try {
    await mkdir(made)
    await writeFile(join(made, holder), JSON.stringify(self))
    await rename(made, path)
    return true
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    return false
  } finally {
    await rm(made, { recursive: true, force: true })
  }
}

/**
 * Nobody holds it who lives. A dead holder is taken out by its own name, which no other ever has: who looked before
 * somebody else took the lock over takes nothing from them.
 */
async function isFree(path: string, self: ProcessIdentity): Promise<boolean> {
  const holders = await readdir(path).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOTDIR' ? null : [],
  )
  // A file is what earlier versions left.
  for (const held of holders?.map((holder) => join(path, holder)) ?? [path]) {
    if (await isHeld(held, self)) return false
    await rm(held, { force: true })
  }
  return true
}

async function isHeld(path: string, self: ProcessIdentity): Promise<boolean> {
  const holder = await readHolder(path)
  const alive = holder && (await isAlive(holder, self))
  if (alive !== null) return alive
  const said = await stat(path).catch(() => null)
  return said !== null && Date.now() - said.mtimeMs < LOCK_TTL_MS
}

/** Null: it says nothing that can be read, as after a loss of power. */
async function readHolder(path: string): Promise<ProcessIdentity | null> {
  try {
    const said: unknown = JSON.parse(await readFile(path, 'utf8'))
    return said !== null && typeof said === 'object' ? (said as ProcessIdentity) : null
  } catch {
    return null
  }
}

async function renew(path: string): Promise<void> {
  const now = new Date()
  await utimes(path, now, now).catch(() => undefined) // it was taken over
}

const isLock = (name: string) => name.endsWith('.lock')
const LEFTOVERS: readonly [place: string, isLeft: (name: string) => boolean][] = [
  ['.', isLock],
  ['refs/longshore', isLock],
  ['objects/pack', (name) => name.startsWith('tmp_')],
]

/** What a git that was killed left: its locks, and the pack it was receiving. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const [place, isLeft] of LEFTOVERS) {
    const names = await readdir(join(folder, place)).catch(() => [])
    for (const name of names.filter(isLeft)) await rm(join(folder, place, name), { force: true })
  }
}
