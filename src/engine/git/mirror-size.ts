import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes of a mirror's objects. They are a few packs and temporary files: a look at two folders is enough. */
export async function sizeOf(mirror: string): Promise<number> {
  let bytes = 0
  for (const folder of ['objects/pack', 'objects']) {
    for (const name of await readdir(join(mirror, folder)).catch(() => [])) {
      bytes += (await stat(join(mirror, folder, name)).catch(() => null))?.size ?? 0
    }
  }
  return bytes
}
