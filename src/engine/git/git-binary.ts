import { createHash } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DeployError } from '../errors.js'
import { removeAbandonedFolders } from './access-folder.js'
import { exists, fetchInto, REFS, refOf } from './fetch.js'
import type { Git } from './git.js'
import { type GitSettings, type Mirror, runInMirror } from './git-command.js'
import { createForgetfulHosts, type KnownHosts } from './host-keys.js'
import { listRemoteRefs } from './list-refs.js'
import { removeDeadCandidates, tryWithMirrorLock, withMirrorLock } from './mirror-lock.js'
import { sourceOf } from './mirror-source.js'
import { type AccessOptions, withRemoteAccess } from './remote-access.js'

export interface GitBinaryOptions {
  /** Where mirrors are kept. */
  readonly dataDir: string
  readonly allowFileRepos: boolean
  readonly timeoutMs: number
  readonly maxRepoBytes: number
  /** Certificates of CAs that servers are trusted by; left out or null: those of the system. */
  readonly caBundle?: string | null
  /** Left out: SSH hosts are known for as long as this process lives. */
  readonly knownHosts?: KnownHosts
}

/** How long a repository that is to be forgotten is waited for while somebody fetches from it. */
const FORGET_MS = 60_000

/**
 * Git by the git binary: one bare mirror per repository, commits fetched at depth 1, no checkout. A commit is kept
 * by a reference named after its deployment, so fetches at the same time do not disturb each other.
 */
export function createGitBinary(options: GitBinaryOptions): Git {
  const root = join(options.dataDir, 'mirrors')
  const access = accessOf(options, root)
  const { settings } = access
  const mirrorOf = (repoUrl: string): Mirror => ({ path: join(root, nameOf(repoUrl)), settings })

  return {
    async fetch(request, signal) {
      const mirror = mirrorOf(request.repoUrl)
      await mkdir(settings.homeDir, { recursive: true })
      const fetch = { ...request, maxBytes: options.maxRepoBytes }
      await within(options.timeoutMs, signal, (either) =>
        withMirrorLock(mirror.path, either, () =>
          withRemoteAccess(access, request, (remote) =>
            fetchInto({ ...mirror, settings: remote }, fetch, either),
          ),
        ),
      )
      return sourceOf(mirror, refOf(request.deploymentId), signal)
    },

    async listRefs(remote, signal) {
      await mkdir(settings.homeDir, { recursive: true })
      return within(options.timeoutMs, signal, (either) =>
        withRemoteAccess(access, remote, (granted) => listRemoteRefs(granted, remote, either)),
      )
    },

    async release(repoUrl, deploymentId) {
      const mirror = mirrorOf(repoUrl)
      if (!(await exists(mirror.path))) return
      await runInMirror(mirror, ['update-ref', '-d', refOf(deploymentId)])
    },

    async sweep(live) {
      for (const name of await readdir(root).catch(() => [])) {
        if (name.endsWith('.git')) await sweepMirror({ path: join(root, name), settings }, live)
      }
    },

    async forget(repoUrl, readNamed) {
      const { path } = mirrorOf(repoUrl)
      if ((await readNamed()).has(repoUrl)) return
      await withMirrorLock(path, AbortSignal.timeout(FORGET_MS), async () => {
        if (!(await readNamed()).has(repoUrl)) await rm(path, { recursive: true, force: true })
      })
    },

    prune: (readNamed) => pruneAll(root, access.folders, readNamed),
  }
}

function accessOf(options: GitBinaryOptions, root: string): AccessOptions {
  const { dataDir, allowFileRepos, caBundle = null, knownHosts = createForgetfulHosts() } = options
  const settings: GitSettings = { allowFileRepos, homeDir: join(root, 'home'), caBundle }
  return { settings, folders: join(dataDir, 'git-access'), knownHosts }
}

async function pruneAll(
  root: string,
  folders: string,
  readNamed: () => Promise<ReadonlySet<string>>,
): Promise<void> {
  await removeAbandonedFolders(folders)
  await pruneMirrors(root, async () => new Set([...(await readNamed())].map(nameOf)))
}

/** The name of a repository's mirror. */
function nameOf(repoUrl: string): string {
  return `${createHash('sha256').update(repoUrl).digest('hex').slice(0, 32)}.git`
}

async function sweepMirror(mirror: Mirror, readLive: () => Promise<ReadonlySet<string>>): Promise<void> {
  const listed = await runInMirror(mirror, ['for-each-ref', '--format=%(refname)', REFS])
  const live = await readLive()
  for (const ref of listed.stdout.split('\n').filter(Boolean)) {
    if (live.has(ref.slice(REFS.length + 1))) continue
    await runInMirror(mirror, ['update-ref', '-d', ref])
  }
}

/**
 * What a killed process left beside its mirror is its lock, and a mirror that is not whole (whose name had its pid in it
 * once): whoever gets the lock may take both away.
 */
async function pruneMirrors(root: string, readNamed: () => Promise<ReadonlySet<string>>): Promise<void> {
  await removeDeadCandidates(root)
  const named = await readNamed()
  const entries = await readdir(root).catch(() => [])
  const mirrors = new Set(entries.flatMap((entry) => /^[0-9a-f]{32}\.git/.exec(entry)?.[0] ?? []))
  for (const mirror of mirrors) {
    const beside = entries.filter((entry) => entry.startsWith(`${mirror}.`))
    if (named.has(mirror) && beside.length === 0) continue
    // Where somebody fetches, the next look is early enough.
    await tryWithMirrorLock(join(root, mirror), async () => {
      const unfinished = beside.filter((entry) => entry.endsWith('.new'))
      const unnamed = (await readNamed()).has(mirror) ? [] : [mirror]
      for (const entry of [...unfinished, ...unnamed]) {
        await rm(join(root, entry), { recursive: true, force: true })
      }
    })
  }
}

/** @throws DeployError CLONE_TIMEOUT */
async function within<T>(
  timeoutMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    return await work(AbortSignal.any([signal, timeout]))
  } catch (cause) {
    if (!timeout.aborted || signal.aborted) throw cause
    const message = `the repository was not fetched within ${timeoutMs / 1000} s (CLONE_TIMEOUT)`
    throw new DeployError('CLONE_TIMEOUT', message, { cause })
  }
}
