import { once } from 'node:events'
import { type Metadata, type Server, type ServerDuplexStream, status } from '@grpc/grpc-js'
import { fieldsOf } from './buildkit-trace.js'
import type { BuildContext, ContextEntry, Contents } from './docker.js'
import { bytesField, numberField } from './protobuf.js'

/** By which BuildKit asks for the files of a local folder. */
export const DIFF_COPY = '/moby.filesync.v1.FileSync/DiffCopy'

/** Kinds of packets of fsutil's protocol. */
const STAT = 0
const REQUEST = 1
const DATA = 2
const FIN = 3
const ERROR = 4
/** Bits of a mode as Go has them. */
const FOLDER = 2 ** 31
const LINK = 2 ** 27
const SLASH = 0x2f
const IGNORE_FILE = '.dockerignore'

type Call = ServerDuplexStream<Buffer, Buffer>

/**
 * Gives BuildKit the files of a context as the Docker command line does: it lists them, BuildKit asks for those that it
 * wants. The Dockerfile comes from a place of its own, so that a context need not have it.
 *
 * @param failed hears of a context that cannot be read
 */
export function serveFiles(server: Server, context: BuildContext, failed: (error: unknown) => void): void {
  const same = (bytes: Buffer) => bytes
  const handle = (call: Call) => {
    const closed = new AbortController()
    call.once('close', () => closed.abort(new Error('the Docker engine wants no more files')))
    void serve(call, context, closed.signal).catch((error: unknown) => {
      if (!closed.signal.aborted) failed(error)
      call.emit('error', { code: status.INTERNAL, details: (error as Error).message })
    })
  }
  server.register(DIFF_COPY, handle, same, same, 'bidi')
}

async function serve(call: Call, context: BuildContext, closed: AbortSignal): Promise<void> {
  const entries = inOrder(asked(call.metadata, context))
  const send = async (...fields: Buffer[]) => {
    closed.throwIfAborted()
    if (!call.write(Buffer.concat(fields))) await once(call, 'drain', { signal: closed })
  }
  using contents = context.contents(closed)
  for (const entry of entries) {
    await send(bytesField(2, await statOf(entry, context.modifiedAt, contents)))
  }
  await send(numberField(1, STAT)) // the end of the list
  for await (const bytes of call.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const packet = new Map(fieldsOf(bytes))
    const [type = STAT, id = 0] = [packet.get(1), packet.get(3)]
    if (type === FIN) {
      await send(numberField(1, FIN))
      return void call.end()
    }
    if (type === ERROR) throw new Error(`the Docker engine refuses the files: ${String(packet.get(4))}`)
    if (type !== REQUEST) continue
    const of = [numberField(1, DATA), numberField(3, id as number)]
    const entry = entries[id as number]
    if (!entry) throw new Error('the Docker engine asks for a file that is not in the context')
    for await (const piece of contents.read(entry.id)) await send(...of, bytesField(4, piece))
    await send(...of) // its end
  }
}

/** What was asked for is not narrowed down further: what is ignored is not in the context at all. */
function asked(metadata: Metadata, { entries, dockerfileEntries }: BuildContext): readonly ContextEntry[] {
  const [folder] = metadata.get('dir-name')
  if (folder === 'dockerfile') return dockerfileEntries
  if (folder !== 'context') throw new Error(`there is no folder ${String(folder)} in the build`)
  const wanted = metadata.get('followpaths')
  // It would only send its patterns with each question, in headers, of which Node.js takes 128.
  return wanted.length === 1 && wanted[0] === IGNORE_FILE ? [] : entries
}

/** Folders before what is in them, and a folder with all that is in it before the next name; none is missing. */
function inOrder(entries: readonly ContextEntry[]): ContextEntry[] {
  const all = new Map<string, ContextEntry>()
  for (const entry of entries) all.set(entry.path, entry)
  for (const path of [...all.keys()]) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end)
      if (all.has(folder)) break
      all.set(folder, { path: folder, rawPath: null, kind: 'folder', isExecutable: false, size: 0, id: '' })
    }
  }
  const keyed = [...all.values()].map((entry) => {
    const key = Buffer.from(entry.rawPath ?? entry.path)
    return { entry, key: key.map((byte) => (byte === SLASH ? 0 : byte)) }
  })
  return keyed.sort((one, other) => Buffer.compare(one.key, other.key)).map(({ entry }) => entry)
}

/** A Stat: path, mode, size, time in nanoseconds, and where a link points to. */
async function statOf(entry: ContextEntry, modifiedAt: number, contents: Contents): Promise<Buffer> {
  const { path, rawPath, kind, isExecutable, size, id } = entry
  const mode =
    kind === 'link' ? LINK + 0o777 : kind !== 'file' ? FOLDER + 0o755 : isExecutable ? 0o755 : 0o644
  const target: Buffer[] = []
  if (kind === 'link') for await (const piece of contents.read(id)) target.push(piece)
  return Buffer.concat([
    bytesField(1, rawPath ?? path),
    numberField(2, mode),
    ...(kind === 'file' ? [numberField(5, size)] : []),
    numberField(6, BigInt(modifiedAt) * 1_000_000_000n),
    ...(kind === 'link' ? [bytesField(7, Buffer.concat(target))] : []),
  ])
}
