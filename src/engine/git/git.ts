import type { Readable } from 'node:stream'

/** What a private repository is read with; never in a URL, an argument, a log or an error. */
export type RepositoryCredential =
  | { readonly kind: 'TOKEN'; readonly username: string | null; readonly token: string }
  | { readonly kind: 'DEPLOY_KEY'; readonly privateKey: string }

/** A repository, and what it is read with. `credential` null: as anybody. */
export interface Remote {
  readonly repoUrl: string
  readonly credential: RepositoryCredential | null
  /** Hears that an SSH host nobody knew was trusted, and by which key; from now on it is refused with another one. */
  readonly onNewHost?: (host: string, fingerprint: string) => void
}

/** The branches and tags of a repository, with the commit that each names. */
export interface RemoteRefs {
  /** Null: HEAD names no branch that is there. */
  readonly defaultBranch: string | null
  readonly branches: ReadonlyMap<string, string>
  readonly tags: ReadonlyMap<string, string>
}

/** What to fetch. `ref` null: the remote's default branch. */
export interface FetchRequest extends Remote {
  /** A branch, a tag or a full commit id; a full name, or one that begins with `heads/` or `tags/`. */
  readonly ref: string | null
  /** Keeps the commit from being pruned until {@link Git.sweep} lets go of it. */
  readonly deploymentId: string
  /** Hears that a tag has the name of the branch that was fetched. Without it nobody asks for that. */
  readonly onAmbiguous?: () => void
  /** Progress of the transfer, as git writes it. */
  readonly onProgress: (bytes: Buffer) => void
  /** Hears, once of each silence, that the server has sent nothing for `silentMs`; after `limitMs` the fetch ends. */
  readonly onSilence?: (silentMs: number, limitMs: number) => void
}

/** Objects of Git LFS, of the files of a commit. */
export interface LfsRequest extends Remote {
  readonly pointers: readonly LfsPointer[]
}

export type EntryKind = 'file' | 'folder' | 'link' | 'submodule'

/** What a tree of a commit has at a path; whoever made the commit may have given it any name. */
export interface TreeEntry {
  /** Below the folder that was asked for, of at most {@link MAX_PATH} bytes. */
  readonly path: string
  /** The path as it is, where it is not UTF-8; null: as `path` says. */
  readonly rawPath: Buffer | null
  readonly kind: EntryKind
  readonly isExecutable: boolean
  /** Bytes of a file, or of the path that a link points to. */
  readonly size: number
  /** Of its content. */
  readonly id: string
}

/** Contents of files and targets of links, by the ids of their entries. */
export interface Contents extends Disposable {
  /** One after another: each is read to its end before the next one is asked for. @throws InfrastructureError GIT_FAILED */
  read(id: string): AsyncIterable<Buffer>
}

/** What the id of an entry begins with, before the object's own, that stands for an object of Git LFS. */
export const LFS_ID = 'lfs:'

/** A file of a commit that stands for one which Git LFS keeps. */
export interface LfsPointer {
  /** Below the folder that was asked for. */
  readonly path: string
  /** SHA-256 of the object. */
  readonly oid: string
  /** Bytes of the object. */
  readonly size: number
}

/** Bytes that Linux takes for a path, and for the target of a link. */
export const MAX_PATH = 4095

/** A commit whose files are at hand. */
export interface Source {
  readonly commitSha: string
  /** First line of the commit's message as whoever made it wrote it, of at most 64 KiB. */
  readonly commitMessage: string
  /** Seconds since 1970. */
  readonly committedAt: number
  /** The whole message, of 64 KiB. */
  message(signal: AbortSignal): Promise<string>
  /** Paths whose files differ from those of another commit of the repository; null: that commit is not at hand. */
  changedSince(commitSha: string, signal: AbortSignal): Promise<readonly string[] | null>
  /** What is at paths below the repository's root (`.` is the root itself), without following symbolic links. */
  kindsOf(paths: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, EntryKind>>
  /** What is in a folder, by name, of 8 MiB of it; empty when there is no such folder. */
  list(folder: string, signal: AbortSignal): Promise<ReadonlyMap<string, EntryKind>>
  /**
   * All that is below a folder: folders before what is in them, otherwise in no promised order. Nothing more is read than
   * is taken.
   *
   * @throws DeployError REPO_INVALID when no checkout of it can be made
   */
  entries(folder: string, signal: AbortSignal): AsyncIterable<TreeEntry>
  /** Opens the contents of all files; to be disposed of. */
  contents(signal: AbortSignal): Contents
  /** The first bytes of a file, 1 MiB where nothing else is said. */
  read(path: string, signal: AbortSignal, bytes?: number): Promise<string>
  /**
   * All files below `folder` as an uncompressed tar: contents as committed, modes as in a checkout (0644, 0755). Errors
   * destroy the stream: DeployError REPO_INVALID when no checkout can be made.
   */
  archive(folder: string, signal: AbortSignal): Readable
}

/**
 * Gets commits from remote repositories. Safe to use for several deployments of one repository at once, from
 * several processes, and after a process was killed in the middle of it.
 */
export interface Git {
  /**
   * One attempt. A fetch brings what differs from the commits that are kept of the repository, and asks the server even for
   * a commit that is there, unless this deployment has fetched it: whoever may read a commit is the server's to say.
   *
   * @throws DeployError REPO_NOT_FOUND, REF_NOT_FOUND, CLONE_FAILED, CLONE_TIMEOUT, REPO_TOO_LARGE
   * @throws OutageError CLONE_FAILED, CLONE_TIMEOUT when the network, or the server, may be well again in a moment
   * @throws InfrastructureError CLONE_FAILED when this machine lacks something, or git was killed
   */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<Source>
  /**
   * Fetches objects of a fetched commit, of which {@link Source.contents} then has those with ids of {@link LFS_ID}. Each has
   * the size and the hash that its pointer says. They are kept with the repository.
   *
   * @throws DeployError LFS_UNAVAILABLE with the path of a file, REPO_TOO_LARGE, CLONE_TIMEOUT
   * @throws OutageError LFS_UNAVAILABLE, CLONE_TIMEOUT when the network, or the server, may be well again in a moment
   */
  fetchLfs(request: LfsRequest, signal: AbortSignal): Promise<void>
  /** Asks a repository for its branches and tags; nothing is fetched. @throws as fetch */
  listRefs(remote: Remote, signal: AbortSignal): Promise<RemoteRefs>
  /**
   * Removes all that is kept of a repository, unless `named` has its URL: that is asked while nobody can fetch, so that
   * who needs it by then keeps it. Rejects when somebody has fetched from it for a minute.
   */
  forget(repoUrl: string, named: () => Promise<ReadonlySet<string>>): Promise<void>
  /** The same for all repositories at once, and for what killed processes left. Whatever is being fetched from stays. */
  prune(named: () => Promise<ReadonlySet<string>>): Promise<void>
  /**
   * Lets go of what was fetched for other deployments than `kept`: those under way, and those whose commits the next
   * fetches begin with. It is asked after the commits have been listed, so that a new one is not taken for an old one.
   */
  sweep(kept: () => Promise<ReadonlySet<string>>): Promise<void>
  /**
   * Frees what {@link sweep} has let go of where it is most of what is there, and whole repositories, the least recently
   * fetched from first, until all together have at most `maxBytes`. One that is being fetched from stays, and one that a
   * deployment of `inUse` may read, which is asked while nobody can fetch.
   */
  shrink(maxBytes: number, inUse: () => Promise<ReadonlySet<string>>): Promise<void>
}
