import type { Git } from '../../src/engine/git/git.js'
import { createGitBinary, type GitBinaryOptions } from '../../src/engine/git/git-binary.js'

export type CreateGit = (options: GitBinaryOptions) => Git

/** What a suite of the git port is run with. */
export interface GitBackend {
  readonly name: string
  readonly createGit: CreateGit
  /** Why it cannot be tested here. */
  readonly skip: string | false
}

export const GIT_BACKENDS: readonly GitBackend[] = [{ name: 'git', createGit: createGitBinary, skip: false }]
