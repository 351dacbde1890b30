import { join } from 'node:path'
import { ConfigError } from '../../../config.js'
import { runProgram } from '../../../process.js'
import type { Git } from '../git.js'
import { createGitBinary, type GitBinaryOptions } from '../git-binary.js'
import { gitEnvironment, type GitProgram } from '../git-command.js'
import { findNodegit, projectFolder } from './find-nodegit.js'

const SETUP = 'run npm run setup:nodegit, which compiles it once (about ten minutes), or set GIT_BACKEND=git'

/**
 * Git without the git binary: mirrors, locks, bounds and errors are those of {@link createGitBinary}, and in the binary's
 * place runs a program that does the same with nodegit.
 *
 * @throws ConfigError when nodegit is not built here
 */
export function createNodegit(options: Omit<GitBinaryOptions, 'program'>): Git {
  return createGitBinary({ ...options, program: nodegitProgram(options, findNodegit()) })
}

/**
 * Which nodegit there is, at `nodegit`.
 *
 * @throws ConfigError when it is not built here, or for another version of Node.js
 */
export async function checkNodegit(nodegit = findNodegit()): Promise<string> {
  const { file, before } = nodegitProgram({ allowFileRepos: false }, nodegit)
  const env = gitEnvironment({ allowFileRepos: false, homeDir: '/nonexistent' })
  const { exitCode, signal, stdout, stderr } = await runProgram(file, [...before, 'version'], { env })
  if (exitCode === 0) return stdout.trim()
  const why = stderr.trim().split('\n')[0] || `it ended with ${signal ?? `exit code ${exitCode}`}`
  throw new ConfigError(
    `GIT_BACKEND: nodegit cannot be loaded by Node.js ${process.versions.node} (${why}): ${SETUP}`,
  )
}

function nodegitProgram({ allowFileRepos }: { readonly allowFileRepos: boolean }, nodegit: string | null) {
  if (nodegit === null) throw new ConfigError(`GIT_BACKEND: nodegit is not built here: ${SETUP}`)
  const program = join(projectFolder(), 'dist/src/engine/git/nodegit/program.js')
  const protocols = allowFileRepos ? 'https:ssh:file' : 'https:ssh'
  // V8 does not know how large the objects are that nodegit holds: the program says when they are to go.
  const node = ['--expose-gc', '--no-warnings']
  return { file: process.execPath, before: [...node, program, nodegit, protocols] } satisfies GitProgram
}
