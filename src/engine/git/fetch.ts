import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProgramResult } from '../../process.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { fetchError, isMissingRef } from './fetch-error.js'
import type { FetchRequest } from './git.js'
import { type Mirror, runGit, runInMirror } from './git-command.js'

/** How often the size of a mirror is looked at while it grows. */
const SIZE_CHECK_MS = 200
/** More packs than this and the mirror is made anew: fetches of single commits never shrink it. */
const MAX_PACKS = 200
/** Each deployment's commit has a reference below this, named by the deployment's id. */
export const REFS = 'refs/longshore'
const FULL_SHA = /^[0-9a-f]{40}$/

/** A fetch of one commit, of at most `maxBytes`. */
export interface BoundedFetch extends FetchRequest {
  readonly maxBytes: number
}

export function refOf(deploymentId: string): string {
  return `${REFS}/${deploymentId}`
}

/** Fetches a commit into a mirror, which is made where there is none; under the mirror's lock. @throws as Git.fetch */
export async function fetchInto(mirror: Mirror, fetch: BoundedFetch, signal: AbortSignal): Promise<void> {
  await createMirror(mirror, signal)
  const refs = candidates(fetch.ref)
  for (const [index, ref] of refs.entries()) {
    const result = await fetchBounded(mirror, { ...fetch, ref }, signal)
    if (result.exitCode === 0) return
    if (!isMissingRef(result) || index === refs.length - 1) throw fetchError(fetch, result)
  }
}

/** A name may be a branch or a tag; branches win, as with `git checkout`. */
function candidates(ref: string | null): string[] {
  if (ref === null) return ['HEAD']
  if (FULL_SHA.test(ref)) return [ref]
  return [`refs/heads/${ref}`, `refs/tags/${ref}`]
}

async function createMirror(mirror: Mirror, signal: AbortSignal): Promise<void> {
  const { path, settings } = mirror
  if (await exists(path)) {
    const packs = await readdir(join(path, 'objects/pack')).catch(() => [])
    if (packs.length < MAX_PACKS * 2 || (await hasDeployments(mirror))) return
    await rm(path, { recursive: true, force: true })
  }
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

async function hasDeployments(mirror: Mirror): Promise<boolean> {
  return (await runInMirror(mirror, ['for-each-ref', REFS])).stdout.trim() !== ''
}

async function fetchBounded(
  mirror: Mirror,
  { repoUrl, ref, deploymentId, onProgress, maxBytes }: BoundedFetch,
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
    const args = ['fetch', ...options, '--', repoUrl, `+${ref}:${own}`]
    const result = await runInMirror(mirror, args, { signal: either, onProgress })
    // A fast one may be through between two looks.
    if ((await sizeOf(mirror.path)) - before <= maxBytes) return result
  } catch (error) {
    if (!tooLarge.signal.aborted || signal.aborted) throw error
  } finally {
    clearInterval(watch)
  }
  await runInMirror(mirror, ['update-ref', '-d', own])
  if (!(await hasDeployments(mirror))) await rm(mirror.path, { recursive: true, force: true })
  const limit = `${Math.round(maxBytes / 1024 / 1024)} MiB`
  throw new DeployError('REPO_TOO_LARGE', `the repository's commit is over ${limit} (MAX_REPO_MIB)`)
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}

/** Objects are a few packs and temporary files: a look at two folders is enough. */
async function sizeOf(mirror: string): Promise<number> {
  let bytes = 0
  for (const folder of ['objects/pack', 'objects']) {
    for (const name of await readdir(join(mirror, folder)).catch(() => [])) {
      bytes += (await stat(join(mirror, folder, name)).catch(() => null))?.size ?? 0
    }
  }
  return bytes
}
