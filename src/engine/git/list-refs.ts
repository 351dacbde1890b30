import { DeployError } from '../errors.js'
import { NO_SHA256 } from './fetch-failures.js'
import { fetchError } from './fetch-error.js'
import type { Remote, RemoteRefs } from './git.js'
import type { GitSettings } from './git-command.js'
import { type FetchLimits, runRemote } from './remote-command.js'

/** Of pull requests a forge may have hundreds of thousands: only these are listed. */
const LISTED = ['HEAD', 'refs/heads/*', 'refs/tags/*']
/** Some 200,000 branches and tags. */
const MAX_LISTING = 16 * 1024 * 1024
const HEAD = /^ref: refs\/heads\/(.+)\tHEAD$/
const REF = /^([0-9a-f]{40})\trefs\/(heads|tags)\/(.+?)(\^\{\})?$/
const SHA256 = /^[0-9a-f]{64}\t/m

/** A repository's branches and tags, as `git ls-remote` lists them. @throws as Git.fetch */
export async function listRemoteRefs(
  settings: GitSettings,
  { repoUrl, limits }: Remote & { readonly limits: FetchLimits },
  signal: AbortSignal,
): Promise<RemoteRefs> {
  const args = ['ls-remote', '--symref', '--', repoUrl, ...LISTED]
  const listing = await runRemote(settings, { args, limits, keepBytes: MAX_LISTING }, signal)
  if (listing.exitCode !== 0) throw fetchError({ repoUrl, ref: null }, listing)
  if (listing.stdout.length >= MAX_LISTING) {
    throw new DeployError(
      'REPO_TOO_LARGE',
      `the repository has more branches and tags than can be listed: ${repoUrl}`,
    )
  }
  if (SHA256.test(listing.stdout)) throw new DeployError('CLONE_FAILED', `${repoUrl} ${NO_SHA256}`)
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
