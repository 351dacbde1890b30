import { createHash } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProgramResult } from '../../process.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { fetchError, isMissingRef } from './fetch-error.js'
import type { FetchRequest, Git } from './git.js'
import { type GitSettings, runGit } from './git-command.js'
import { withMirrorLock } from './mirror-lock.js'
import { sourceOf } from './mirror-source.js'

export interface GitBinaryOptions {
  /** Where mirrors are kept. */
  readonly dataDir: string
  readonly allowFileRepos: boolean
  readonly timeoutMs: number
  readonly maxRepoBytes: number
}

/** How often the size of a mirror is looked at while it grows. */
const SIZE_CHECK_MS = 200
/** More packs than this and the mirror is made anew: fetches of single commits never shrink it. */
const MAX_PACKS = 200
/** Each deployment's commit has a reference below this, named by the deployment's id. */
const REFS = 'refs/longshore'
const FULL_SHA = /^[0-9a-f]{40}$/

/**
 * Git by the git binary: one bare mirror per repository, commits fetched at depth 1, no checkout. A commit is kept
 * by a reference named after its deployment, so fetches at the same time do not disturb each other.
 */
export function createGitBinary(options: GitBinaryOptions): Git {
  const root = join(options.dataDir, 'mirrors')
  const settings: GitSettings = { allowFileRepos: options.allowFileRepos, homeDir: join(root, 'home') }
  const mirrorOf = (repoUrl: string) =>
    join(root, `${createHash('sha256').update(repoUrl).digest('hex').slice(0, 32)}.git`)

  return {
    async fetch(request, signal) {
      const mirror = mirrorOf(request.repoUrl)
      await mkdir(settings.homeDir, { recursive: true })
      const timeout = AbortSignal.timeout(options.timeoutMs)
      const either = AbortSignal.any([signal, timeout])
      try {
        await withMirrorLock(mirror, either, () => fetchInto(mirror, settings, options, request, either))
      } catch (error) {
        if (timeout.aborted && !signal.aborted) throw timedOut(options.timeoutMs, error)
        throw error
      }
      return sourceOf(mirror, settings, refOf(request.deploymentId), signal)
    },

    async release(repoUrl, deploymentId) {
      const mirror = mirrorOf(repoUrl)
      if (!(await exists(mirror))) return
      await runGit(settings, ['-C', mirror, 'update-ref', '-d', refOf(deploymentId)])
    },

    async sweep(live) {
      for (const name of await readdir(root).catch(() => [])) {
        if (name.endsWith('.git')) await sweepMirror(join(root, name), settings, live)
      }
    },

    async forget(repoUrl) {
      const mirror = mirrorOf(repoUrl)
      await withMirrorLock(mirror, AbortSignal.timeout(60_000), () =>
        rm(mirror, { recursive: true, force: true }),
      )
    },
  }
}

async function sweepMirror(
  mirror: string,
  settings: GitSettings,
  readLive: () => Promise<ReadonlySet<string>>,
): Promise<void> {
  const listed = await runGit(settings, ['-C', mirror, 'for-each-ref', '--format=%(refname)', REFS])
  const live = await readLive()
  for (const ref of listed.stdout.split('\n').filter(Boolean)) {
    if (live.has(ref.slice(REFS.length + 1))) continue
    await runGit(settings, ['-C', mirror, 'update-ref', '-d', ref])
  }
}

function refOf(deploymentId: string): string {
  return `${REFS}/${deploymentId}`
}

function timedOut(timeoutMs: number, cause: unknown): DeployError {
  const message = `the repository was not fetched within ${timeoutMs / 1000} s (CLONE_TIMEOUT)`
  return new DeployError('CLONE_TIMEOUT', message, { cause })
}

async function fetchInto(
  mirror: string,
  settings: GitSettings,
  options: GitBinaryOptions,
  request: FetchRequest,
  signal: AbortSignal,
): Promise<void> {
  await createMirror(mirror, settings, signal)
  const refs = candidates(request.ref)
  for (const [index, remoteRef] of refs.entries()) {
    const spec = `+${remoteRef}:${refOf(request.deploymentId)}`
    const result = await fetchBounded(mirror, settings, options.maxRepoBytes, request, spec, signal)
    if (result.exitCode === 0) return
    if (!isMissingRef(result) || index === refs.length - 1) throw fetchError(request, result)
  }
}

/** A name may be a branch or a tag; branches win, as with `git checkout`. */
function candidates(ref: string | null): string[] {
  if (ref === null) return ['HEAD']
  if (FULL_SHA.test(ref)) return [ref]
  return [`refs/heads/${ref}`, `refs/tags/${ref}`]
}

async function createMirror(mirror: string, settings: GitSettings, signal: AbortSignal): Promise<void> {
  if (await exists(mirror)) {
    const packs = await readdir(join(mirror, 'objects/pack')).catch(() => [])
    if (packs.length < MAX_PACKS * 2 || (await hasDeployments(mirror, settings))) return
    await rm(mirror, { recursive: true, force: true })
  }
  // Made beside its place and moved there whole: a mirror that exists is complete.
  const fresh = `${mirror}.${process.pid}.new`
  await rm(fresh, { recursive: true, force: true })
  const made = await runGit(settings, ['init', '--quiet', '--bare', '--template=', '--', fresh], signal)
  if (made.exitCode !== 0)
    throw new InfrastructureError('GIT_FAILED', `git init failed: ${made.stderr.trim()}`)
  await mkdir(join(fresh, 'info'), { recursive: true })
  // Otherwise `git archive` would leave files out or rewrite them, and the build would differ from a checkout.
  await writeFile(join(fresh, 'info/attributes'), '* -export-ignore -export-subst\n')
  await rename(fresh, mirror)
}

async function hasDeployments(mirror: string, settings: GitSettings): Promise<boolean> {
  const refs = await runGit(settings, ['-C', mirror, 'for-each-ref', REFS])
  return refs.stdout.trim() !== ''
}

async function fetchBounded(
  mirror: string,
  settings: GitSettings,
  maxBytes: number,
  request: FetchRequest,
  spec: string,
  signal: AbortSignal,
): Promise<ProgramResult> {
  const tooLarge = new AbortController()
  const before = await sizeOf(mirror)
  const watch = setInterval(() => {
    void sizeOf(mirror).then((bytes) => bytes - before > maxBytes && tooLarge.abort())
  }, SIZE_CHECK_MS)
  const args = ['-C', mirror, 'fetch', '--progress', '--depth=1', '--no-tags', '--no-recurse-submodules']
  try {
    const either = AbortSignal.any([signal, tooLarge.signal])
    const result = await runGit(settings, [...args, '--', request.repoUrl, spec], either, request.onProgress)
    // A fast one may be through between two looks.
    if ((await sizeOf(mirror)) - before <= maxBytes) return result
  } catch (error) {
    if (!tooLarge.signal.aborted || signal.aborted) throw error
  } finally {
    clearInterval(watch)
  }
  await runGit(settings, ['-C', mirror, 'update-ref', '-d', refOf(request.deploymentId)])
  if (!(await hasDeployments(mirror, settings))) await rm(mirror, { recursive: true, force: true })
  const limit = `${Math.round(maxBytes / 1024 / 1024)} MiB`
  throw new DeployError('REPO_TOO_LARGE', `the repository's commit is over ${limit} (MAX_REPO_MIB)`)
}

async function exists(path: string): Promise<boolean> {
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
