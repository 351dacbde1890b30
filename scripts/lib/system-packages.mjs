import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { runQuietly } from './run.mjs'

/**
 * Whether something may be installed: asks on a terminal, and does not ask with `--yes` or CI=true.
 *
 * @throws Error that says `byHand`, where nobody can be asked
 */
export async function agreed(question, byHand) {
  if (process.argv.includes('--yes') || process.env.CI === 'true') return true
  if (!process.stdin.isTTY) throw new Error(`${byHand} Or let Longshore do it: add -- --yes`)
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(`  ${question} [Y/n] `)
  terminal.close()
  return !/^n/i.test(answer.trim())
}

/** Installs packages of a Debian-like system, as root. */
export async function aptInstall(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await runQuietly('apt-get update', 'apt-get', ['update'], { env })
  const args = ['install', '-y', '--no-install-recommends', ...packages]
  await runQuietly('apt-get install', 'apt-get', args, { env })
}

/** Whether there is such a program, also in the folders that only root's PATH has. */
export function hasProgram(program) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']
  return folders.some((folder) => folder !== '' && existsSync(join(folder, program)))
}
