import { Transform, type TransformCallback } from 'node:stream'
import { ignoreRules } from './ignore-file.js'
import { tarEntry } from './tar-entry.js'

const BLOCK = 512
const HARD_LINK = '1'.charCodeAt(0)

/**
 * Filters a tar by its headers as the Docker command line would: what `.dockerignore` names is left out (the engine
 * does not do that for a tar), except the Dockerfile and the ignore file itself. Contents pass through untouched.
 *
 * @param written files that are put in front, by path
 * @throws Error on an entry that would leave the root of the context.
 */
export function filterContext(
  ignoreFile: string | null,
  dockerfile: string,
  written: ReadonlyMap<string, string> = new Map(),
): Transform {
  const rules = ignoreFile === null ? null : ignoreRules(ignoreFile)
  const always = new Set([dockerfile, '.dockerignore', `${dockerfile}.dockerignore`])
  const first = [...written].map(([path, text]) => tarEntry(path, text))
  return new TarFilter((path) => always.has(path) || !rules?.ignores(path), Buffer.concat(first))
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
    done(whole ? null : new Error('the archive of the repository is cut short'))
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
    // An extension is at most a few paths long; it is needed whole.
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
    throw new Error(`archive entry outside: ${path}`)
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
