import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Installation } from './server.js'

const COMMAND = fileURLToPath(new URL('../../src/rotate-master-key.js', import.meta.url))

/** Runs the command that changes the master key of an installation to its end. */
export function rotateMasterKey(
  installation: Installation,
  env: Readonly<Record<string, string>>,
): { code: number | null; signal: NodeJS.Signals | null; output: string } {
  const settings = { DATABASE_URL: installation.database.url, DATA_DIR: installation.dataDir }
  const ended = spawnSync(process.execPath, [COMMAND], {
    env: { PATH: process.env.PATH, ...settings, ...env },
    encoding: 'utf8',
  })
  return { code: ended.status, signal: ended.signal, output: ended.stdout + ended.stderr }
}
