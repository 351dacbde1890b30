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

/** A commit whose files are at hand. */
export interface Source {
  readonly commitSha: string
  /** First line of the commit's message, at most 200 characters. */
  readonly commitMessage: string
  /** A kind of entry at a path below the repository's root, without following symbolic links. */
  kindOf(path: string, signal: AbortSignal): Promise<'file' | 'folder' | 'link' | 'submodule' | null>
  /** Content of a file of at most 1 MiB. */
  read(path: string, signal: AbortSignal): Promise<string>
  /** All files below `folder` as an uncompressed tar, as committed; errors destroy the stream. */
  archive(folder: string, signal: AbortSignal): Readable
}

/**
 * Gets commits from remote repositories. Safe to use for several deployments of one repository at once, from
 * several processes, and after a process was killed in the middle of it.
 */
export interface Git {
  /** @throws DeployError REPO_NOT_FOUND, REF_NOT_FOUND, CLONE_FAILED, CLONE_TIMEOUT, REPO_TOO_LARGE */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<Source>
  /** Lets go of the commit that a deployment fetched. */
  release(repoUrl: string, deploymentId: string): Promise<void>
  /** Removes all that is kept of a repository. */
  forget(repoUrl: string): Promise<void>
}
