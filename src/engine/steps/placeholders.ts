import type { TreeEntry } from '../git/git.js'
import { cleanLine } from '../logs/lines.js'
import type { DeploymentRun } from './deployment-run.js'
import type { ContextFiles } from './context-files.js'

const NAMED = 5

/** Says what a checkout would have and the build does not: the app may run all the same. */
export function logSubmodules(
  { log }: DeploymentRun,
  { sent, hasModules }: { readonly sent: ContextFiles; readonly hasModules: boolean },
): void {
  const submodules = [...sent.values()].filter(({ kind }) => kind === 'submodule')
  if (submodules.length === 0) return
  const why = hasModules
    ? 'Submodules are not fetched: their folders are empty in the build'
    : 'Folders that refer to commits of other repositories are empty in the build; without .gitmodules they cannot be fetched (git rm --cached removes one)'
  log.system(`Warning: ${why}: ${names(submodules)}`)
}

/** `a, b and 3 more`. */
function names(entries: readonly TreeEntry[]): string {
  const first = entries.slice(0, NAMED).map(({ path }) => cleanLine(path))
  const more = entries.length - first.length
  return first.join(', ') + (more > 0 ? ` and ${more} more (${entries.length} in all)` : '')
}
