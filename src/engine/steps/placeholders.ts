import type { Source, TreeEntry } from '../git/git.js'
import { cleanLine } from '../logs/lines.js'
import type { DeploymentRun } from './deployment-run.js'
import { type ContextFiles, textOf } from './context-files.js'

/** A pointer has at least these many bytes (version, oid, size), and less than 1 KiB by its specification. */
const POINTER_BYTES = { min: 120, max: 1023 }
const POINTER = /^version https:\/\/(?:git-lfs|hawser)\.github\.com\/spec\/v1\n/
/** So many small files are looked at. */
const MAX_READ = 20_000
const NAMED = 5

/**
 * Says what a checkout would have and the build does not: the app may run all the same, and serve a pointer for a picture.
 */
export async function logPlaceholders(
  { log, signal }: DeploymentRun,
  source: Source,
  { sent, hasModules }: { readonly sent: ContextFiles; readonly hasModules: boolean },
): Promise<void> {
  const submodules = [...sent.values()].filter(({ kind }) => kind === 'submodule')
  if (submodules.length > 0) {
    const why = hasModules
      ? 'Submodules are not fetched: their folders are empty in the build'
      : 'Folders that refer to commits of other repositories are empty in the build; without .gitmodules they cannot be fetched (git rm --cached removes one)'
    log.system(`Warning: ${why}: ${names(submodules)}`)
  }
  const pointers = await pointersIn(source, sent, signal)
  if (pointers.length === 0) return
  log.system(
    `Warning: Git LFS files are not fetched: the build gets their pointers, files of about 130 bytes, instead: ${names(pointers)}`,
  )
}

async function pointersIn(source: Source, sent: ContextFiles, signal: AbortSignal): Promise<TreeEntry[]> {
  const { min, max } = POINTER_BYTES
  const small = [...sent.values()]
    .filter(({ kind, size }) => kind === 'file' && size >= min && size <= max)
    .slice(0, MAX_READ)
  if (small.length === 0) return []
  using contents = source.contents(signal)
  const found: TreeEntry[] = []
  for (const entry of small) {
    if (POINTER.test(await textOf(contents.read(entry.id)))) found.push(entry)
  }
  return found
}

/** `a, b and 3 more`. */
function names(entries: readonly TreeEntry[]): string {
  const first = entries.slice(0, NAMED).map(({ path }) => cleanLine(path))
  const more = entries.length - first.length
  return first.join(', ') + (more > 0 ? ` and ${more} more (${entries.length} in all)` : '')
}
