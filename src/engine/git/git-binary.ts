import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DeployError } from '../errors.js'
import { removeAbandonedFolders } from './access-folder.js'
import { fetchInto, refOf } from './fetch.js'
import type { Git } from './git.js'
import type { GitProgram, GitSettings, Mirror } from './git-command.js'
import { createForgetfulHosts, type KnownHosts } from './host-keys.js'
import { fetchObjects } from './lfs-fetch.js'
import { listRemoteRefs } from './list-refs.js'
import { withMirrorLock } from './mirror-lock.js'
import { sourceOf } from './mirror-source.js'
import { pruneMirrors, shrinkMirrors, sweepMirrors } from './mirror-upkeep.js'
import { type AccessOptions, withRemoteAccess } from './remote-access.js'
import { type FetchLimits, seconds } from './remote-command.js'

export interface GitBinaryOptions {
  /** Where mirrors are kept. */
  readonly dataDir: string
  readonly allowFileRepos: boolean
  readonly timeoutMs: number
  /** How long a server may send nothing, not even that it still works; 2 minutes where nothing else is said. */
  readonly silenceMs?: number
  readonly maxRepoBytes: number
  /** Git itself where nothing else is said. */
  readonly program?: GitProgram
  /** Certificates of CAs that servers are trusted by; left out or null: those of the system. */
  readonly caBundle?: string | null
  /** Left out: SSH hosts are known for as long as this process lives. */
  readonly knownHosts?: KnownHosts
}

const SILENCE_MS = 120_000

/** How long a repository that is to be forgotten is waited for while somebody fetches from it. */
const FORGET_MS = 60_000

/**
 * Git by the git binary: one bare mirror per repository, commits fetched at depth 1, no checkout. A commit is kept
 * by a reference named after its deployment, so fetches at the same time do not disturb each other, and the next one brings
 * what is new.
 */
export function createGitBinary(options: GitBinaryOptions): Git {
  const root = join(options.dataDir, 'mirrors')
  const access = accessOf(options, root)
  const { settings } = access
  const limits: FetchLimits = { timeoutMs: options.timeoutMs, silenceMs: options.silenceMs ?? SILENCE_MS }
  const mirrorOf = (repoUrl: string): Mirror => ({ path: join(root, nameOf(repoUrl)), settings })

  return {
    async fetch(request, signal) {
      const mirror = mirrorOf(request.repoUrl)
      await mkdir(settings.homeDir, { recursive: true })
      const fetch = { ...request, limits, maxBytes: options.maxRepoBytes }
      await within(limits, signal, (either) =>
        withMirrorLock(mirror.path, either, () =>
          withRemoteAccess(access, request, (granted) =>
            fetchInto({ ...mirror, settings: granted }, fetch, either),
          ),
        ),
      )
      return sourceOf(mirror, refOf(request.deploymentId), signal)
    },

    async fetchLfs(request, signal) {
      const mirror = mirrorOf(request.repoUrl)
      const fetch = { ...request, limits, maxBytes: options.maxRepoBytes }
      await within(limits, signal, (either) =>
        withMirrorLock(mirror.path, either, () => fetchObjects(mirror, fetch, either)),
      )
    },

    async listRefs(remote, signal) {
      await mkdir(settings.homeDir, { recursive: true })
      return within(limits, signal, (either) =>
        withRemoteAccess(access, remote, (granted) => listRemoteRefs(granted, { ...remote, limits }, either)),
      )
    },

    async forget(repoUrl, readNamed) {
      const { path } = mirrorOf(repoUrl)
      if ((await readNamed()).has(repoUrl)) return
      await withMirrorLock(path, AbortSignal.timeout(FORGET_MS), async () => {
        if (!(await readNamed()).has(repoUrl)) await rm(path, { recursive: true, force: true })
      })
    },

    sweep: (readKept) => sweepMirrors(root, settings, readKept),
    prune: (readNamed) => pruneAll(root, access, readNamed),
    shrink: (maxBytes, readInUse) => shrinkMirrors(root, settings, { maxBytes, readInUse }),
  }
}

function accessOf(options: GitBinaryOptions, root: string): AccessOptions {
  const { dataDir, allowFileRepos, program, caBundle = null, knownHosts = createForgetfulHosts() } = options
  const settings: GitSettings = { allowFileRepos, program, homeDir: join(root, 'home'), caBundle }
  return { settings, folders: join(dataDir, 'git-access'), knownHosts }
}

async function pruneAll(
  root: string,
  { folders, settings }: AccessOptions,
  readNamed: () => Promise<ReadonlySet<string>>,
): Promise<void> {
  await removeAbandonedFolders(folders)
  await pruneMirrors(root, settings, async () => new Set([...(await readNamed())].map(nameOf)))
}

/** The name of a repository's mirror. */
function nameOf(repoUrl: string): string {
  return `${createHash('sha256').update(repoUrl).digest('hex').slice(0, 32)}.git`
}

/** @throws DeployError CLONE_TIMEOUT */
async function within<T>(
  { timeoutMs, silenceMs }: FetchLimits,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    return await work(AbortSignal.any([signal, timeout]))
  } catch (cause) {
    if (!timeout.aborted || signal.aborted) throw cause
    const message =
      `the repository was not fetched within ${seconds(timeoutMs)} (CLONE_TIMEOUT; a server that sends nothing ` +
      `for ${seconds(silenceMs)} ends it before, FETCH_SILENCE_TIMEOUT)`
    throw new DeployError('CLONE_TIMEOUT', message, { cause })
  }
}
