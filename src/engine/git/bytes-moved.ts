import { readFile } from 'node:fs/promises'

/**
 * Bytes that a program and those that it started have read and written so far, by pipes, files and most sockets, as the kernel
 * counts them. It rises also with what git says nothing of: the empty packets with which a server says that it still prepares
 * a pack, which git's helper hands on. Null: this system does not count (it has no /proc), or the program is gone.
 */
export async function bytesMoved(pid: number): Promise<number | null> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '')
  const own = [...io.matchAll(/^[rw]char: (\d+)$/gm)].reduce((sum, [, bytes]) => sum + Number(bytes), 0)
  if (own === 0) return null
  // Protocols before the second one are spoken by a program that git starts.
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const moved = await Promise.all(
    children
      .split(' ')
      .filter(Boolean)
      .map((child) => bytesMoved(Number(child))),
  )
  return moved.reduce<number>((sum, bytes) => sum + (bytes ?? 0), own)
}
