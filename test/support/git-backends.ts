import type { Git } from '../../src/engine/git/git.js'
import { createGitBinary, type GitBinaryOptions } from '../../src/engine/git/git-binary.js'
import { findNodegit } from '../../src/engine/git/nodegit/find-nodegit.js'
import { createNodegit } from '../../src/engine/git/nodegit/nodegit.js'

export type CreateGit = (options: GitBinaryOptions) => Git

/** What a suite of the git port is run with. */
export interface GitBackend {
  readonly name: string
  readonly createGit: CreateGit
  /** Why it cannot be tested here. */
  readonly skip: string | false
}

const NOT_BUILT = findNodegit() === null && 'nodegit is not built here: npm run setup:nodegit builds it'

export const GIT_BACKENDS: readonly GitBackend[] = [
  { name: 'git', createGit: createGitBinary, skip: false },
  { name: 'nodegit', createGit: createNodegit, skip: NOT_BUILT },
]
