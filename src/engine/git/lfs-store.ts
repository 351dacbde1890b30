import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { LfsPointer } from './git.js'

/** In a mirror: counted with it, and removed with it. */
export const LFS_FOLDER = 'lfs'
/** What is being received. */
export const PART = '.part'
/** What no deployment has taken for so long is not of a commit that is built again soon. */
const UNUSED_MS = 7 * 24 * 60 * 60_000

/** Where a mirror has an object. */
export function objectPath(mirror: string, oid: string): string {
  return join(mirror, LFS_FOLDER, oid)
}

/**
 * Those of the objects that a mirror does not have, each once; under the mirror's lock. What it has is kept for another
 * week, and what nobody has asked for in one is removed.
 */
export async function missingObjects(mirror: string, pointers: readonly LfsPointer[]): Promise<LfsPointer[]> {
  // Not recursive: a mirror that is gone meanwhile would be taken for one.
  await mkdir(join(mirror, LFS_FOLDER)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const missing: LfsPointer[] = []
  const now = new Date()
  for (const pointer of byOid(pointers)) {
    const path = objectPath(mirror, pointer.oid)
    const found = await stat(path).catch(() => null)
    if (found?.size === pointer.size) await utimes(path, now, now)
    else missing.push(pointer)
  }
  for (const name of await readdir(join(mirror, LFS_FOLDER))) {
    const path = objectPath(mirror, name)
    const found = await stat(path)
    if (now.getTime() - found.mtimeMs > UNUSED_MS) await rm(path, { force: true })
  }
  return missing
}

/** Each object once, by the first of its files. */
export function byOid(pointers: readonly LfsPointer[]): LfsPointer[] {
  return [...new Map(pointers.toReversed().map((pointer) => [pointer.oid, pointer])).values()].toReversed()
}
