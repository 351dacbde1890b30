import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LFS_FOLDER, PART } from './lfs-store.js'
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
  for (;;) {
    const held = await take(folder)
    if (held !== null) return whileHeld(held, work)
    await sleep(RETRY_MS, undefined, { signal })
  }
}

/** The same without a wait. False: somebody who lives holds the lock. */
export async function tryWithMirrorLock(folder: string, work: () => Promise<void>): Promise<boolean> {
  const held = await take(folder)
  if (held === null) return false
  await whileHeld(held, work)
  return true
}

interface HeldLock {
  /** The mirror. */
  readonly folder: string
  /** The lock. */
  readonly path: string
  readonly holder: string
}

/** Null: somebody else has it. */
async function take(folder: string): Promise<HeldLock | null> {
  const held = { folder, path: `${folder}.lock`, holder: randomUUID() }
  const self = await ownIdentity()
  return (await isFree(held.path, self)) && (await tryLock(held, self)) ? held : null
}

async function whileHeld<T>({ folder, path, holder }: HeldLock, work: () => Promise<T>): Promise<T> {
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
async function tryLock({ path, holder }: HeldLock, self: ProcessIdentity): Promise<boolean> {
  const made = candidateOf(path, holder)
  await mkdir(made)
  try {
    await writeFile(join(made, holder), JSON.stringify(self))
    await rename(made, path)
    return true
  } catch (error) {
    // ENOENT: this process was stopped for so long that it was taken for dead.
    const isLost = ['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'ENOENT']
    if (!isLost.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    return false
  } finally {
    await rm(made, { recursive: true, force: true })
  }
}

function candidateOf(path: string, holder: string): string {
  return `${path}.${holder}`
}

const CANDIDATE = /\.lock\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Removes from `root` the locks that processes were making when they were killed. */
export async function removeDeadCandidates(root: string): Promise<void> {
  const self = await ownIdentity()
  const names = await readdir(root).catch(() => [])
  for (const name of names.filter((one) => CANDIDATE.test(one))) {
    const path = join(root, name)
    const [holder] = await readdir(path).catch(() => [])
    // Its folder is made first: one that says nothing yet is believed like one that cannot be read.
    const isAlive = holder === undefined ? await isFresh(path) : await isHeld(join(path, holder), self)
    if (!isAlive) await rm(path, { recursive: true, force: true })
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
  return isFresh(path)
}

async function isFresh(path: string): Promise<boolean> {
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
/** Of git's fetch, git's repack and libgit2. */
const isHalfPack = (name: string) => /^(tmp_|\.tmp-|pack_git2_)/.test(name)
const LEFTOVERS: readonly [place: string, isLeft: (name: string) => boolean][] = [
  ['.', isLock],
  ['refs/longshore', isLock],
  ['objects/pack', isHalfPack],
  [LFS_FOLDER, (name) => name.endsWith(PART)],
]

/** What a git that was killed left: its locks, and the pack it was receiving or making. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const [place, isLeft] of LEFTOVERS) {
    const names = await readdir(join(folder, place)).catch(() => [])
    for (const name of names.filter(isLeft)) await rm(join(folder, place, name), { force: true })
  }
}
