import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { fieldsOf } from '../../../src/engine/docker/buildkit-trace.js'
import { numberField } from '../../../src/engine/docker/protobuf.js'

const REQUEST = 1
const DATA = 2
const FIN = 3

/** The other end of a client's session: BuildKit's, which asks for files. */
export function openSession(socket: Socket): ClientHttp2Session {
  const session = connect('http://session', { createConnection: () => socket })
  return session.on('error', () => undefined)
}

/**
 * The regular files of a folder that the client serves, by path. Rejects with the client's words.
 *
 * @param paths what a Dockerfile copies: each is a header, as BuildKit has it
 */
export async function filesOf(
  session: ClientHttp2Session,
  folder: string,
  paths: readonly string[] = [],
): Promise<Map<string, Buffer>> {
  const call = session.request({
    ':method': 'POST',
    ':path': '/moby.filesync.v1.FileSync/DiffCopy',
    'content-type': 'application/grpc',
    te: 'trailers',
    'dir-name': folder,
    ...(paths.length > 0 && { followpaths: [...paths] }),
  })
  const failed = new Promise<never>((_resolve, reject) => {
    const refuse = (headers: Readonly<Record<string, unknown>>) => {
      if (!['0', undefined].includes(headers['grpc-status'] as string | undefined))
        reject(new Error(decodeURIComponent(String(headers['grpc-message']))))
    }
    call.on('trailers', refuse).on('response', refuse).on('error', reject)
  })
  failed.catch(() => undefined)
  return Promise.race([receive(call), failed])
}

async function receive(call: ClientHttp2Stream): Promise<Map<string, Buffer>> {
  const paths: string[] = []
  const pieces = new Map<number, Buffer[]>()
  let asked = 0
  let isListed = false
  for await (const packet of packetsOf(call)) {
    const type = packet.get(1) ?? 0
    const id = Number(packet.get(3) ?? 0)
    const stat = packet.get(2)
    if (type === FIN) break
    if (type === DATA) {
      const piece = packet.get(4)
      if (piece === undefined) asked--
      else pieces.get(id)?.push(piece as Buffer)
    } else if (Buffer.isBuffer(stat)) {
      const fields = new Map(fieldsOf(stat))
      paths.push(String(fields.get(1)))
      if (Math.floor(Number(fields.get(2)) / 2 ** 25) === 0) {
        pieces.set(paths.length - 1, [])
        asked++
        write(call, numberField(1, REQUEST), numberField(3, paths.length - 1))
      }
    } else isListed = true
    if (isListed && asked === 0) write(call, numberField(1, FIN))
  }
  call.end()
  return new Map([...pieces].map(([id, all]) => [paths[id] ?? '', Buffer.concat(all)]))
}

/** Messages of gRPC: a byte that says that they are not compressed, their length, and a packet of fsutil. */
async function* packetsOf(call: ClientHttp2Stream): AsyncGenerator<Map<number, Buffer | number>> {
  let rest = Buffer.alloc(0)
  for await (const bytes of call.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, bytes])
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1)
      yield new Map(fieldsOf(rest.subarray(5, end)))
      rest = rest.subarray(end)
    }
  }
}

function write(call: ClientHttp2Stream, ...fields: Buffer[]): void {
  const message = Buffer.concat(fields)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  call.write(Buffer.concat([head, message]))
}
