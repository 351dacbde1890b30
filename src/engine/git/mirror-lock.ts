import { open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const RETRY_MS = 50
/** An empty lock file is one between creation and writing; older than this its process died there. */
const EMPTY_MS = 5_000

/**
 * Runs `work` while no other process of this host changes the mirror at `folder`: `git fetch --depth` writes the
 * repository's one list of shallow commits.
 *
 * The lock names its process; one whose process is dead is taken over, and what that left half-done in the mirror
 * (git's own lock files) is removed.
 */
export async function withMirrorLock<T>(
  folder: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const path = `${folder}.lock`
  while (!(await tryLock(path))) {
    await removeIfDead(path)
    await sleep(RETRY_MS, undefined, { signal })
  }
  try {
    await removeLeftovers(folder)
    return await work()
  } finally {
    await rm(path, { force: true })
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx')
    await file.writeFile(String(process.pid))
    await file.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function removeIfDead(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return
  if (text === '') {
    const made = await stat(path).catch(() => null)
    if (made && Date.now() - made.mtimeMs > EMPTY_MS) await rm(path, { force: true })
    return
  }
  try {
    process.kill(Number(text), 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') await rm(path, { force: true })
  }
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
