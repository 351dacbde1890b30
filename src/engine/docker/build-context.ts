import { Transform, type TransformCallback } from 'node:stream'
import { DeployError } from '../errors.js'
import { tarEntry } from './tar-entry.js'

const BLOCK = 512
const HARD_LINK = '1'.charCodeAt(0)
/** Bytes of an extension: a path and the target of a link, each of what a system takes, and little else. */
const MAX_EXTENSION = 16 * 1024

/**
 * Filters a tar by its headers, as it passes: contents go through untouched, and no more than a header is kept.
 *
 * @param keeps whether an entry, by its path without a slash at the end, is let through
 * @param written files that are put in front, by path
 * @throws DeployError REPO_INVALID on an entry that would leave the root of the context, or whose header has no end
 */
export function filterContext(
  keeps: (path: string) => boolean,
  written: ReadonlyMap<string, string> = new Map(),
): Transform {
  const first = [...written].map(([path, text]) => tarEntry(path, text))
  return new TarFilter(keeps, Buffer.concat(first))
}

class TarFilter extends Transform {
  #buffer: Buffer = Buffer.alloc(0)
  /** Bytes of the current entry's content that are still to come, and what happens to them. */
  #remaining = 0
  #mode: 'pass' | 'drop' | 'extension' = 'pass'
  /** Extension headers (long names) that belong to the next entry. */
  #extension: Buffer[] = []
  #longName: string | null = null
  /** What passes of the present piece; sent on together, or each header would be a frame and a write of its own. */
  #passed: Buffer[] = []

  constructor(
    private readonly keeps: (path: string) => boolean,
    first: Buffer,
  ) {
    super()
    if (first.length > 0) this.push(first)
  }

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#buffer = this.#buffer.length === 0 ? bytes : Buffer.concat([this.#buffer, bytes])
      while (this.#step());
      if (this.#passed.length > 0) this.push(Buffer.concat(this.#passed.splice(0)))
      done()
    } catch (error) {
      done(error as Error)
    }
  }

  override _flush(done: TransformCallback): void {
    const whole = this.#buffer.length === 0 && this.#remaining === 0
    done(whole ? null : new Error('the archive of the repository is truncated'))
  }

  /** Handles a header or a piece of content. False: more bytes are needed. */
  #step(): boolean {
    if (this.#remaining > 0) return this.#content()
    if (this.#buffer.length < BLOCK) return false
    const header = this.#buffer.subarray(0, BLOCK)
    this.#buffer = this.#buffer.subarray(BLOCK)
    if (header.every((byte) => byte === 0)) this.#passed.push(header)
    else this.#header(header)
    return true
  }

  #content(): boolean {
    if (this.#buffer.length === 0) return false
    // It is needed whole.
    if (this.#mode === 'extension' && this.#buffer.length < this.#remaining) return false
    const piece = this.#buffer.subarray(0, this.#remaining)
    this.#buffer = this.#buffer.subarray(piece.length)
    this.#remaining -= piece.length
    if (this.#mode === 'pass') this.#passed.push(piece)
    if (this.#mode === 'extension') {
      this.#extension.push(piece)
      this.#longName = pathOf(piece) ?? this.#longName
    }
    return true
  }

  #header(header: Buffer): void {
    const size = Number.parseInt(textOf(header, 124, 12).trim() || '0', 8)
    this.#remaining = Math.ceil(size / BLOCK) * BLOCK
    const type = String.fromCharCode(header[156] ?? 0)
    if (type === 'g') {
      this.#mode = 'drop' // git's comment with the commit id: it would change the context's checksum for nothing
    } else if (type === 'x') {
      if (size > MAX_EXTENSION) {
        const message = `a path or symbolic link target in the repository is too long, over ${MAX_EXTENSION} bytes: remove it from the commit`
        throw new DeployError('REPO_INVALID', message)
      }
      this.#mode = 'extension'
      this.#extension = [header]
    } else this.#entry(header)
  }

  #entry(header: Buffer): void {
    const prefix = textOf(header, 345, 155)
    const short = textOf(header, 0, 100)
    const path = (this.#longName ?? (prefix ? `${prefix}/${short}` : short)).replace(/\/$/, '')
    refuseOutside(path)
    if (header[156] === HARD_LINK) refuseOutside(textOf(header, 157, 100))
    const kept = path === '' || this.keeps(path)
    this.#mode = kept ? 'pass' : 'drop'
    if (kept) this.#passed.push(...this.#extension, header)
    this.#extension = []
    this.#longName = null
  }
}

function refuseOutside(path: string): void {
  if (path.startsWith('/') || path.split('/').includes('..'))
    throw new DeployError('REPO_INVALID', `archive entry outside the repository: ${path}`)
}

function textOf(block: Buffer, offset: number, length: number): string {
  const bytes = block.subarray(offset, offset + length)
  const end = bytes.indexOf(0)
  return bytes.subarray(0, end < 0 ? length : end).toString('utf8')
}

/** `path` of a pax extended header: records of `length key=value\n`. */
function pathOf(extension: Buffer): string | null {
  let at = 0
  while (at < extension.length) {
    const space = extension.indexOf(0x20, at)
    const length = Number(extension.subarray(at, space).toString('latin1'))
    if (space < 0 || !Number.isInteger(length) || length <= 0) return null
    const record = extension.subarray(space + 1, at + length - 1).toString('utf8')
    if (record.startsWith('path=')) return record.slice('path='.length)
    at += length
  }
  return null
}
