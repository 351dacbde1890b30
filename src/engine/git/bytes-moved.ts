import { readFile } from 'node:fs/promises'

/**
 * Bytes that a program and those that it started have read so far, from the network, pipes and files, as the kernel counts
 * them. It rises also with what git says nothing of: the empty packets with which a server says that it still prepares a
 * pack. Null: this system does not count (it has no /proc), or the program is gone.
 */
export async function bytesRead(pid: number): Promise<number | null> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => null)
  const own = /^rchar: (\d+)$/m.exec(io ?? '')?.[1]
  if (own === undefined) return null
  // Protocols before the second one are spoken by a program that git starts.
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const read = await Promise.all(
    children
      .split(' ')
      .filter(Boolean)
      .map((child) => bytesRead(Number(child))),
  )
  return read.reduce<number>((sum, bytes) => sum + (bytes ?? 0), Number(own))
}
