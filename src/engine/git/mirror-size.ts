import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LFS_FOLDER } from './lfs-store.js'

/** Bytes of a mirror's objects, those of Git LFS as well. The others are a few packs and temporary files: no folder below. */
export async function sizeOf(mirror: string): Promise<number> {
  let bytes = 0
  for (const folder of ['objects/pack', 'objects', LFS_FOLDER]) {
    for (const name of await readdir(join(mirror, folder)).catch(() => [])) {
      bytes += (await stat(join(mirror, folder, name)).catch(() => null))?.size ?? 0
    }
  }
  return bytes
}
