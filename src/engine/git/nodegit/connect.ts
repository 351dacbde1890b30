import { type Context, Fatal } from './command.js'
import { credentialsFor, linkKnownHosts } from './credentials.js'
import type { RemoteCallbacks, RemoteHead, Repository } from './library.js'
import { inGitsWords } from './git-words.js'

/** A repository somewhere else that has answered. */
export interface ConnectedRemote {
  readonly heads: readonly RemoteHead[]
  /** Receives what `refspecs` name, and all that it needs, into the repository that it was connected for. @throws Fatal */
  download(refspecs: readonly string[]): Promise<void>
}

const PROTOCOL = /^([a-z][a-z0-9+.-]*):\/\//i
/** `user@host:path` */
const SCP = /^[^/:]+@[^/:]+:/
/** Between two lines about a transfer. */
const PROGRESS_MS = 50

/** Asks a repository for its references. @throws Fatal with git's words */
export async function connect(
  context: Context,
  url: string,
  repository?: Repository,
): Promise<ConnectedRemote> {
  const { nodegit, protocols } = context
  const protocol = PROTOCOL.exec(url)?.[1]?.toLowerCase() ?? (SCP.test(url) ? 'ssh' : 'file')
  if (!protocols.includes(protocol)) throw new Fatal(`transport '${protocol}' not allowed`)
  const { CREATE_SKIP_INSTEADOF, CREATE_SKIP_DEFAULT_FETCHSPEC } = nodegit.Remote.CREATE_FLAGS
  // No configuration of this machine may lead anywhere else.
  const flags = CREATE_SKIP_INSTEADOF | CREATE_SKIP_DEFAULT_FETCHSPEC
  const isSsh = protocol === 'ssh'
  if (isSsh) await linkKnownHosts()
  const callbacks = { ...credentialsFor(context, isSsh), ...progressOf(context) }
  const inWords = <T>(doing: Promise<T>) =>
    doing.catch((error: Error) => {
      throw inGitsWords(error, url)
    })
  const remote = await inWords(nodegit.Remote.createWithOpts(url, { repository, flags }))
  await inWords(remote.connect(nodegit.Enums.DIRECTION.FETCH, callbacks, {}, []))
  const heads = await inWords(remote.referenceList())
  return { heads, download: (refspecs) => inWords(remote.download(refspecs, { callbacks })) }
}

/** Says how far a transfer is, as git does. */
function progressOf({ invocation, say }: Context): Omit<RemoteCallbacks, 'credentials'> {
  if (!invocation.options.includes('--progress')) return {}
  return {
    // What the server says: lines, of which those of its own progress overwrite each other.
    sidebandProgress: (text, length) => {
      const said = text.slice(0, length)
      if (said.trim() !== '') say(`remote: ${said.trim()}${said.includes('\n') ? '\n' : '\r'}`)
      return 0
    },
    transferProgress: {
      throttle: PROGRESS_MS,
      waitForResult: false,
      callback: (progress) => {
        const [received, total] = [progress.receivedObjects(), progress.totalObjects()]
        const percent = String(total === 0 ? 0 : Math.floor((received / total) * 100)).padStart(3)
        const mebibytes = (progress.receivedBytes() / 1024 / 1024).toFixed(2)
        say(`Receiving objects: ${percent}% (${received}/${total}), ${mebibytes} MiB\r`)
      },
    },
  }
}
