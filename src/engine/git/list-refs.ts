import { fetchError } from './fetch-error.js'
import type { Remote, RemoteRefs } from './git.js'
import type { GitSettings } from './git-command.js'
import { type FetchLimits, runRemote } from './remote-command.js'

const HEAD = /^ref: refs\/heads\/(\S+)\tHEAD$/
const REF = /^([0-9a-f]{40})\trefs\/(heads|tags)\/(\S+?)(\^\{\})?$/

/** A repository's branches and tags, as `git ls-remote` lists them. @throws as Git.fetch */
export async function listRemoteRefs(
  settings: GitSettings,
  { repoUrl, limits }: Remote & { readonly limits: FetchLimits },
  signal: AbortSignal,
): Promise<RemoteRefs> {
  const args = ['ls-remote', '--symref', '--', repoUrl]
  const listing = await runRemote(settings, { args, limits }, signal)
  if (listing.exitCode !== 0) throw fetchError({ repoUrl, ref: null }, listing)
  return refsIn(listing.stdout)
}

function refsIn(listing: string): RemoteRefs {
  let head: string | null = null
  const branches = new Map<string, string>()
  const tags = new Map<string, string>()
  for (const line of listing.split('\n')) {
    head ??= HEAD.exec(line)?.[1] ?? null
    const [, sha, kind, name] = REF.exec(line) ?? []
    // An annotated tag is listed twice: the second line, with ^{}, has the commit.
    if (sha && name) (kind === 'heads' ? branches : tags).set(name, sha)
  }
  return { defaultBranch: head !== null && branches.has(head) ? head : null, branches, tags }
}
