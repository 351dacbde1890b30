import { chown, stat } from 'node:fs/promises'
import { runProgram } from '../process.js'

/** How a program is run so that it does not see itself as root, which PostgreSQL refuses. */
export interface PlainUser {
  command(file: string, args: readonly string[]): [string, string[]]
  /** Hands files over where the program is really another user. */
  own(paths: readonly string[]): Promise<void>
}

const NOBODY = 65_534

/**
 * Not root: as is. As root: a user namespace in which root's files belong to "nobody", so that nothing changes
 * owner and folders that only root may enter work too; where namespaces are forbidden, the user nobody itself,
 * which `folder` must then be reachable for.
 */
export async function asPlainUser(folder: string): Promise<PlainUser> {
  if (process.getuid?.() !== 0)
    return { command: (file, args) => [file, [...args]], own: () => Promise.resolve() }
  if (await canUnshare()) {
    return {
      command: (file, args) => ['unshare', [...NAMESPACE, file, ...args]],
      own: () => Promise.resolve(),
    }
  }
  await stat(folder)
  return {
    command: (file, args) => ['setpriv', [...DROP, file, ...args]],
    own: async (paths) => {
      for (const path of paths) await chown(path, NOBODY, NOBODY)
    },
  }
}

// pdeathsig does not survive the change of credentials, so it is set again behind it.
const NAMESPACE = [
  '--user',
  `--map-user=${NOBODY}`,
  `--map-group=${NOBODY}`,
  '--',
  'setpriv',
  '--pdeathsig',
  'INT',
  '--',
]
const DROP = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--pdeathsig', 'INT', '--']

async function canUnshare(): Promise<boolean> {
  const result = await runProgram('unshare', [...NAMESPACE.slice(0, 4), 'true'], {}).catch(() => null)
  return result?.exitCode === 0
}
