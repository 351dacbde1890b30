import { createRequire } from 'node:module'

/** The part of nodegit that is used; the package brings no types. */
export interface Nodegit {
  readonly Repository: {
    openBare(path: string): Promise<Repository>
    /** `isBare` 1: there is no work tree. */
    init(path: string, isBare: 1): Promise<Repository>
  }
  readonly Reference: {
    list(repository: Repository): Promise<string[]>
    nameToId(repository: Repository, name: string): Promise<Oid>
    /** `force` 1: also where there is one of this name. */
    create(repository: Repository, name: string, id: Oid, force: 1, message: string): Promise<unknown>
    /** @returns less than 0 when there is none */
    remove(repository: Repository, name: string): Promise<number>
  }
  readonly Remote: {
    createWithOpts(url: string, options: { repository?: Repository; flags: number }): Promise<RemoteHandle>
    readonly CREATE_FLAGS: {
      readonly CREATE_SKIP_INSTEADOF: number
      readonly CREATE_SKIP_DEFAULT_FETCHSPEC: number
    }
  }
  readonly Oid: { fromString(id: string): Oid }
  readonly Credential: {
    userpassPlaintextNew(username: string, password: string): Promise<Credential>
    sshKeyNew(username: string, publicKey: string, privateKey: string, phrase: string): Promise<Credential>
    usernameNew(username: string): Promise<Credential>
    readonly TYPE: {
      readonly USERPASS_PLAINTEXT: number
      readonly SSH_KEY: number
      readonly USERNAME: number
    }
  }
  readonly version: string
  readonly Enums: { readonly DIRECTION: { readonly FETCH: 0 } }
}

export interface Repository {
  odb(): Promise<ObjectDatabase>
}

export interface ObjectDatabase {
  read(id: Oid): Promise<StoredObject>
}

export interface StoredObject {
  type(): number
  size(): number
  /** Undefined: there is nothing in it. */
  data(): { toBuffer(size: number): Buffer } | undefined
}

export interface Oid {
  tostrS(): string
}

export type Credential = object

export interface RemoteHandle {
  connect(direction: 0, callbacks: RemoteCallbacks, proxy: object, headers: string[]): Promise<void>
  referenceList(): Promise<RemoteHead[]>
  download(refspecs: readonly string[], options: { callbacks: RemoteCallbacks }): Promise<void>
  disconnect(): Promise<void>
}

export interface RemoteHead {
  name(): string
  oid(): Oid
  /** Of HEAD: the branch that it stands for. */
  symrefTarget(): string | null | undefined
}

export interface TransferProgress {
  totalObjects(): number
  receivedObjects(): number
  /** What is on the disk already. */
  indexedObjects(): number
  receivedBytes(): number
}

export interface RemoteCallbacks {
  readonly credentials?: (url: string, username: string, types: number) => Promise<Credential>
  readonly transferProgress?: {
    /** Milliseconds between two calls. */
    readonly throttle: number
    readonly waitForResult: false
    readonly callback: (progress: TransferProgress) => void
  }
  readonly sidebandProgress?: (text: string, length: number) => number
}

/** Loads nodegit from where {@link findNodegit} has found it. */
export function loadNodegit(path: string): Nodegit {
  return createRequire(import.meta.url)(path) as Nodegit
}
