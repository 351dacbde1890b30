import type { TreeEntry } from '../git/git.js'
import { oneLine } from '../quoted-text.js'
import type { DeploymentRun } from './deployment-run.js'
import type { ContextFiles } from './context-files.js'

const NAMED = 5

/** Says what a checkout would not have either: the app may run all the same. */
export function logSubmodules({ log }: DeploymentRun, sent: ContextFiles): void {
  const unnamed = [...sent.values()].filter(({ kind }) => kind === 'submodule')
  if (unnamed.length === 0) return
  const why =
    'Folders that refer to commits of other repositories are empty in the build; without an entry in .gitmodules they cannot be fetched (git rm --cached removes one)'
  log.system(`Warning: ${why}: ${names(unnamed)}`)
}

/** `a, b and 3 more`. */
function names(entries: readonly TreeEntry[]): string {
  const first = entries.slice(0, NAMED).map(({ path }) => oneLine(path, 200))
  const more = entries.length - first.length
  return first.join(', ') + (more > 0 ? ` and ${more} more (${entries.length} in all)` : '')
}
