import type { Readable } from 'node:stream'

/** What to fetch. `ref` null: the remote's default branch. */
export interface FetchRequest {
  readonly repoUrl: string
  /** A branch, a tag or a full commit id. */
  readonly ref: string | null
  /** Keeps the commit from being pruned until {@link Git.release}. */
  readonly deploymentId: string
  /** Progress of the transfer, as git writes it. */
  readonly onProgress: (bytes: Buffer) => void
}

export type EntryKind = 'file' | 'folder' | 'link' | 'submodule'

/** A commit whose files are at hand. */
export interface Source {
  readonly commitSha: string
  /** First line of the commit's message, at most 200 characters. */
  readonly commitMessage: string
  /** What is at paths below the repository's root (`.` is the root itself), without following symbolic links. */
  kindsOf(paths: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, EntryKind>>
  /** What is in a folder, by name, of 8 MiB of it; empty when there is no such folder. */
  list(folder: string, signal: AbortSignal): Promise<ReadonlyMap<string, EntryKind>>
  /** The first bytes of a file, 1 MiB where nothing else is said. */
  read(path: string, signal: AbortSignal, bytes?: number): Promise<string>
  /** All files below `folder` as an uncompressed tar, as committed; errors destroy the stream. */
  archive(folder: string, signal: AbortSignal): Readable
}

/**
 * Gets commits from remote repositories. Safe to use for several deployments of one repository at once, from
 * several processes, and after a process was killed in the middle of it.
 */
export interface Git {
  /**
   * @throws DeployError REPO_NOT_FOUND, REF_NOT_FOUND, CLONE_FAILED, CLONE_TIMEOUT, REPO_TOO_LARGE
   * @throws InfrastructureError CLONE_FAILED when the network, or the server, may be well again in a moment
   */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<Source>
  /** Lets go of the commit that a deployment fetched. */
  release(repoUrl: string, deploymentId: string): Promise<void>
  /** Removes all that is kept of a repository. */
  forget(repoUrl: string): Promise<void>
  /**
   * Lets go of what was fetched for deployments that are not under way any more: a process that was killed could not.
   * `live` is asked after the commits have been listed, so that a new one is not taken for an old one.
   */
  sweep(live: () => Promise<ReadonlySet<string>>): Promise<void>
}
