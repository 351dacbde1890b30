import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './dependencies.mjs'

/** examples/hello as a Git repository below `folder`, with a commit of what it holds now. Gives its file:// URL. */
export function exampleRepository(folder) {
  const repository = join(folder, 'hello')
  mkdirSync(repository, { recursive: true })
  if (!existsSync(join(repository, '.git'))) git(repository, 'init', '--quiet', '-b', 'main')
  for (const name of readdirSync(repository)) {
    if (name !== '.git') rmSync(join(repository, name), { recursive: true })
  }
  cpSync(join(ROOT, 'examples/hello'), repository, { recursive: true })
  git(repository, 'add', '-A')
  git(repository, 'commit', '--quiet', '--allow-empty', '-m', 'Say hello')
  return `file://${repository}`
}

function git(folder, ...args) {
  const author = ['-c', 'user.name=Longshore', '-c', 'user.email=quickstart@longshore.invalid']
  const result = spawnSync('git', ['-C', folder, ...author, ...args], { encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`git ${args[0]} failed: ${result.stderr}`)
}
