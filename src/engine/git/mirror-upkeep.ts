import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { deploymentsIn, REFS } from './fetch.js'
import { type GitSettings, type Mirror, runInMirror } from './git-command.js'
import { sizeOf } from './mirror-size.js'
import { removeDeadCandidates, tryWithMirrorLock } from './mirror-lock.js'

/** Fewer packs than this and no more than this to gain: it is not worth the work. */
const MAX_PACKS = 50
const MIN_GARBAGE_BYTES = 1024 * 1024

/**
 * One pack of what the kept commits need, its entries as they were received: to look for better ones takes minutes of
 * processor time for a large repository. Bitmaps serve servers.
 */
const REPACK = ['-c', 'repack.writeBitmaps=false', 'repack', '-a', '-d', '-q', '--window=0', '--threads=1']

/** What a deployment fetches of submodules has its id, a point and a number. */
function ownerOf(id: string): string {
  return id.replace(/\.\d+$/, '')
}

type Ids = () => Promise<ReadonlySet<string>>

/** @see Git.sweep */
export async function sweepMirrors(root: string, settings: GitSettings, readKept: Ids): Promise<void> {
  for (const mirror of await mirrorsIn(root, settings)) {
    const listed = await deploymentsIn(mirror)
    const kept = await readKept()
    for (const id of listed.filter((one) => !kept.has(ownerOf(one)))) {
      await runInMirror(mirror, ['update-ref', '-d', `${REFS}/${id}`])
    }
  }
}

/** @see Git.shrink */
export async function shrinkMirrors(
  root: string,
  settings: GitSettings,
  bound: { readonly maxBytes: number; readonly readInUse: Ids },
): Promise<void> {
  const mirrors = await mirrorsIn(root, settings)
  for (const mirror of mirrors) {
    // Where somebody fetches, the next look is early enough.
    if (await isMostlyGarbage(mirror)) await tryWithMirrorLock(mirror.path, () => tidy(mirror))
  }
  const sized = await Promise.all(mirrors.map(looked))
  let bytes = sized.reduce((sum, one) => sum + one.bytes, 0)
  for (const one of sized.sort((a, b) => a.usedAt - b.usedAt)) {
    if (bytes <= bound.maxBytes) return
    await tryWithMirrorLock(one.mirror.path, async () => {
      const inUse = await bound.readInUse()
      if ((await deploymentsIn(one.mirror)).some((id) => inUse.has(ownerOf(id)))) return
      await rm(one.mirror.path, { recursive: true, force: true })
      bytes -= one.bytes
    })
  }
}

/**
 * What a killed process left beside its mirror is its lock, and a mirror that is not whole (whose name had its pid in it
 * once): whoever gets the lock may take both away.
 */
export async function pruneMirrors(root: string, settings: GitSettings, readNamed: Ids): Promise<void> {
  await removeDeadCandidates(root)
  const named = await readNamed()
  const entries = await readdir(root).catch(() => [])
  const mirrors = new Set(entries.flatMap((entry) => /^[0-9a-f]{32}\.git/.exec(entry)?.[0] ?? []))
  for (const mirror of mirrors) {
    const beside = entries.filter((entry) => entry.startsWith(`${mirror}.`))
    if (named.has(mirror) && beside.length === 0) continue
    await tryWithMirrorLock(join(root, mirror), async () => {
      const unfinished = beside.filter((entry) => entry.endsWith('.new'))
      const isNeeded = (await readNamed()).has(mirror) || (await hasModules(join(root, mirror), settings))
      const unnamed = isNeeded ? [] : [mirror]
      for (const entry of [...unfinished, ...unnamed]) {
        await rm(join(root, entry), { recursive: true, force: true })
      }
    })
  }
}

/** No app names the repository of a submodule: it is there as long as a deployment's commits are kept. */
async function hasModules(path: string, settings: GitSettings): Promise<boolean> {
  return (await deploymentsIn({ path, settings })).some((id) => ownerOf(id) !== id)
}

async function mirrorsIn(root: string, settings: GitSettings): Promise<Mirror[]> {
  const names = await readdir(root).catch(() => [])
  return names.filter((name) => name.endsWith('.git')).map((name) => ({ path: join(root, name), settings }))
}

/** Each fetch writes FETCH_HEAD, also one that brought nothing. */
async function looked(mirror: Mirror): Promise<{ mirror: Mirror; bytes: number; usedAt: number }> {
  const used = await stat(join(mirror.path, 'FETCH_HEAD')).catch(() => null)
  return { mirror, bytes: await sizeOf(mirror.path), usedAt: used?.mtimeMs ?? 0 }
}

/** By the bytes of its packs: of each fetch one, which no fetch ever takes away. */
async function isMostlyGarbage(mirror: Mirror): Promise<boolean> {
  const folder = join(mirror.path, 'objects/pack')
  const packs = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.pack'))
  const sizes = await Promise.all(packs.map((name) => stat(join(folder, name)).catch(() => null)))
  const bytes = sizes.reduce((sum, found) => sum + (found?.size ?? 0), 0)
  if (packs.length > MAX_PACKS) return true
  if (bytes < MIN_GARBAGE_BYTES) return false
  const needed = await runInMirror(mirror, ['rev-list', '--objects', '--disk-usage', '--all'])
  // A git before 2.31 cannot tell, and a mirror that it cannot read says nothing of what is needed.
  return needed.exitCode === 0 && bytes - Number(needed.stdout) > Math.max(bytes / 2, MIN_GARBAGE_BYTES)
}

/**
 * Whoever reads a commit that is kept goes on: git looks for an object anew when its pack is gone. `prune` takes the
 * commits that are gone out of the list of shallow ones, all of which a fetch tells the server.
 */
async function tidy(mirror: Mirror): Promise<void> {
  if ((await deploymentsIn(mirror)).length === 0) await rm(mirror.path, { recursive: true, force: true })
  else if ((await runInMirror(mirror, REPACK)).exitCode === 0) {
    await runInMirror(mirror, ['prune', '--expire=now'])
  }
}
