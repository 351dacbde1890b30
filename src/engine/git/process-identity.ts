import { readFile, readlink } from 'node:fs/promises'

/**
 * Tells one process from all others, also those that had its number before it, or have it in another container. Null:
 * this system does not say (it has no /proc).
 */
export interface ProcessIdentity {
  /** Another one since each start of the machine. */
  readonly boot: string | null
  /** Numbers of processes mean something within it only. */
  readonly pidNamespace: string | null
  readonly pid: number
  /** In ticks of the machine's clock. */
  readonly startedAt: string | null
}

/** Of this process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const { pid } = process
  const [boot, pidNamespace, startedAt] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((text) => text.trim(), unknown),
    readlink('/proc/self/ns/pid').catch(unknown),
    startOf(pid),
  ])
  return { boot, pidNamespace, pid, startedAt }
}

/** Whether `other` lives. Null: this cannot be seen from where `self` is. */
export async function isAlive(other: ProcessIdentity, self: ProcessIdentity): Promise<boolean | null> {
  const told = [other, self].every(
    ({ boot, pidNamespace, startedAt }) => boot !== null && pidNamespace !== null && startedAt !== null,
  )
  if (!told) return null
  if (other.boot !== self.boot) return false
  if (other.pidNamespace !== self.pidNamespace) return null
  return (await startOf(other.pid)) === other.startedAt
}

/** Null: there is no such process, it has ended and nobody has taken note of it yet, or this system does not say. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(unknown)
  if (stat === null) return null
  // The second field is the program's name in parentheses, and may hold anything: the third begins after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const hasEnded = ['Z', 'X'].includes(fields[0] ?? '')
  return hasEnded ? null : (fields[22 - 3] ?? null)
}

const unknown = () => null
