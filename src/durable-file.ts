import { open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes a file whose content is on the disk when this resolves; its name is once {@link syncFolderOf} has resolved. */
export async function writeSynced(
  path: string,
  text: string,
  { flags = 'w', mode = 0o600 }: { readonly flags?: string; readonly mode?: number } = {},
): Promise<void> {
  const file = await open(path, flags, mode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A new name, of a file that was made or renamed, outlasts a loss of power when its folder has been written. */
export async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
