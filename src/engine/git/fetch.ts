import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProgramResult } from '../../process.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { fetchError, isMissingRef, missingRef } from './fetch-error.js'
import type { FetchRequest } from './git.js'
import { type Mirror, runGit, runInMirror } from './git-command.js'
import { listRemoteRefs } from './list-refs.js'
import { sizeOf } from './mirror-size.js'
import { type FetchLimits, runRemote } from './remote-command.js'

/** How often the size of a mirror is looked at while it grows. */
const SIZE_CHECK_MS = 200
/** Each deployment's commit has a reference below this, named by the deployment's id. */
export const REFS = 'refs/longshore'
const FULL_SHA = /^[0-9a-f]{40}$/

/** A fetch of one commit, of at most `maxBytes`. */
export interface BoundedFetch extends FetchRequest {
  readonly maxBytes: number
  readonly limits: FetchLimits
}

export function refOf(deploymentId: string): string {
  return `${REFS}/${deploymentId}`
}

/** The deployments whose commits a mirror keeps. */
export async function deploymentsIn(mirror: Mirror): Promise<string[]> {
  const listed = await runInMirror(mirror, ['for-each-ref', '--format=%(refname)', REFS])
  const refs = listed.stdout.split('\n').filter(Boolean)
  return refs.map((ref) => ref.slice(REFS.length + 1))
}

/**
 * Fetches a commit into a mirror, which is made where there is none; under the mirror's lock. The commits that the mirror
 * keeps are what the server is told that it need not send. @throws as Git.fetch
 */
export async function fetchInto(mirror: Mirror, fetch: BoundedFetch, signal: AbortSignal): Promise<void> {
  await createMirror(mirror, signal)
  if (await hasFetched(mirror, fetch, signal)) return
  const [name, ...others] = candidates(fetch.ref)
  let result = await fetchBounded(mirror, { ...fetch, ref: name }, signal)
  for (const ref of others) {
    if (isMissingRef(result)) result = await fetchBounded(mirror, { ...fetch, ref }, signal)
  }
  if (result.exitCode === 0) {
    if (name === `refs/heads/${fetch.ref}` && fetch.onAmbiguous) await reportTag(mirror, fetch, signal)
    return
  }
  if (!isMissingRef(result) || fetch.ref !== null) throw fetchError(fetch, result)
  const { branches } = await listRemoteRefs(mirror.settings, fetch, signal)
  throw missingRef(fetch, result, [...branches.keys()])
}

/** By an earlier attempt of the same deployment, which has pinned the commit. */
async function hasFetched(mirror: Mirror, { ref, deploymentId }: FetchRequest, signal: AbortSignal) {
  if (ref === null || !FULL_SHA.test(ref)) return false
  const args = ['rev-parse', '--verify', '--quiet', `${refOf(deploymentId)}^{commit}`]
  return (await runInMirror(mirror, args, { signal })).stdout.trim() === ref
}

/** A name may be a branch or a tag; branches win, as with `git checkout`. */
function candidates(ref: string | null): [string, ...string[]] {
  if (ref === null) return ['HEAD']
  if (FULL_SHA.test(ref)) return [ref]
  // A full name; a branch may still be called like one.
  if (ref.startsWith('refs/')) return [ref, `refs/heads/${ref}`]
  const short = /^(?:heads|tags)\//.test(ref) ? [`refs/${ref}`] : []
  return [`refs/heads/${ref}`, `refs/tags/${ref}`, ...short]
}

/** Whether a tag is called like the branch that was taken; what keeps that from being found out is no reason to fail. */
async function reportTag(
  { settings }: Mirror,
  { repoUrl, ref, limits, onAmbiguous }: BoundedFetch,
  signal: AbortSignal,
): Promise<void> {
  const tag = `refs/tags/${ref}`
  const args = ['ls-remote', '--', repoUrl, tag]
  const listing = await runRemote(settings, { args, limits }, signal).catch(() => null)
  signal.throwIfAborted()
  const names = listing?.stdout.split('\n').map((line) => line.slice(line.indexOf('\t') + 1)) ?? []
  if (names.includes(tag)) onAmbiguous?.()
}

async function createMirror(mirror: Mirror, signal: AbortSignal): Promise<void> {
  const { path, settings } = mirror
  if (await exists(path)) return
  // Made beside its place and moved there whole: a mirror that exists is complete. Whoever has the lock is alone with it.
  const fresh = `${path}.new`
  await rm(fresh, { recursive: true, force: true })
  const made = await runGit(settings, ['init', '--quiet', '--bare', '--template=', '--', fresh], { signal })
  if (made.exitCode !== 0)
    throw new InfrastructureError('GIT_FAILED', `git init failed: ${made.stderr.trim()}`)
  await mkdir(join(fresh, 'info'), { recursive: true })
  // Otherwise `git archive` would leave files out or rewrite them, and the build would differ from a checkout.
  await writeFile(join(fresh, 'info/attributes'), '* -export-ignore -export-subst\n')
  await rename(fresh, path)
}

async function fetchBounded(
  mirror: Mirror,
  { repoUrl, ref, deploymentId, maxBytes, ...fetch }: BoundedFetch,
  signal: AbortSignal,
): Promise<ProgramResult> {
  const tooLarge = new AbortController()
  const before = await sizeOf(mirror.path)
  const watch = setInterval(() => {
    void sizeOf(mirror.path).then((bytes) => bytes - before > maxBytes && tooLarge.abort())
  }, SIZE_CHECK_MS)
  const own = refOf(deploymentId)
  const options = ['--progress', '--depth=1', '--no-tags', '--no-recurse-submodules']
  try {
    const either = AbortSignal.any([signal, tooLarge.signal])
    const args = ['-C', mirror.path, 'fetch', ...options, '--', repoUrl, `+${ref}:${own}`]
    const result = await runRemote(mirror.settings, { ...fetch, args }, either)
    // A fast one may be through between two looks.
    if ((await sizeOf(mirror.path)) - before <= maxBytes) return result
  } catch (error) {
    if (!tooLarge.signal.aborted || signal.aborted) throw error
  } finally {
    clearInterval(watch)
  }
  await runInMirror(mirror, ['update-ref', '-d', own])
  if ((await deploymentsIn(mirror)).length === 0) await rm(mirror.path, { recursive: true, force: true })
  const limit = `${Math.round(maxBytes / 1024 / 1024)} MiB`
  throw new DeployError('REPO_TOO_LARGE', `the repository's commit is over ${limit} (MAX_REPO_MIB)`)
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}
