import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { killWhenAborted } from '../../process.js'
import { InfrastructureError } from '../errors.js'
import { type Contents, LFS_ID } from './git.js'
import { type Mirror, startInMirror } from './git-command.js'
import { objectPath } from './lfs-store.js'

const NEWLINE = 0x0a
const HEADER = /^[0-9a-f]{40,64} blob (\d+)$/

/** Contents of a commit's files, and of the objects of Git LFS that were fetched for them. */
export function openContents(mirror: Mirror, signal: AbortSignal): Contents {
  const blobs = openBlobs(mirror, signal)
  const read = (id: string) => {
    if (!id.startsWith(LFS_ID)) return blobs.read(id)
    return readObject(objectPath(mirror.path, id.slice(LFS_ID.length)), signal)
  }
  return { read, [Symbol.dispose]: () => blobs[Symbol.dispose]() }
}

/** By one `git cat-file --batch`: a program for all files, not one for each. */
function openBlobs(mirror: Mirror, signal: AbortSignal): Contents {
  const child = startInMirror(mirror, ['cat-file', '--batch'], ['pipe', 'pipe', 'ignore'])
  child.on('error', () => undefined) // its output ends, which is what is looked at
  const stop = killWhenAborted(child, signal)
  const output = (child.stdout as Readable)[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let rest: Buffer = Buffer.alloc(0)

  const more = async () => {
    const piece = await output.next()
    signal.throwIfAborted()
    if (piece.done) throw new InfrastructureError('GIT_FAILED', 'git ended while files of a commit were read')
    return piece.value
  }
  /** Up to a newline, which is taken as well. */
  const line = async () => {
    while (!rest.includes(NEWLINE)) rest = Buffer.concat([rest, await more()])
    const end = rest.indexOf(NEWLINE)
    const text = rest.subarray(0, end).toString('latin1')
    rest = rest.subarray(end + 1)
    return text
  }
  return {
    async *read(id) {
      child.stdin?.write(`${id}\n`)
      const header = await line()
      const size = HEADER.exec(header)?.[1]
      if (size === undefined) {
        throw new InfrastructureError('GIT_FAILED', `git could not read a file of a commit: ${header}`)
      }
      for (let missing = Number(size); missing > 0;) {
        if (rest.length === 0) rest = await more()
        const piece = rest.subarray(0, missing)
        rest = rest.subarray(piece.length)
        missing -= piece.length
        yield piece
      }
      await line()
    },
    [Symbol.dispose]() {
      stop()
      child.kill('SIGKILL')
    },
  }
}

async function* readObject(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { signal }) as AsyncIterable<Buffer>
  } catch (cause) {
    signal.throwIfAborted()
    throw new InfrastructureError('GIT_FAILED', 'a Git LFS file could not be read', cause)
  }
}
