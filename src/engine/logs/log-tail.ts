import { CHUNK_BYTES, type LogChunkInput } from './store.js'

/** The end of a log is kept in at most this many chunks: sources that write in turns make one of each line. */
export const TAIL_CHUNKS = 16_384

const NEWLINE = 0x0a

/** Lines of one source and phase that follow each other. */
interface Group extends Omit<LogChunkInput, 'text'> {
  /** Where it begins and ends among all bytes that were pushed. */
  start: number
  end: number
}

/** What was left out at the front. */
export interface Omitted {
  bytes: number
  lines: number
}

/**
 * The last lines of a stream of any length, up to `maxBytes` and {@link TAIL_CHUNKS}.
 *
 * They are bytes in one piece of memory, which is written over and over: strings that live as long as these leave the
 * young generation, and 1 GB of them made the heap grow by 200 MiB before each was collected. A line costs the same however
 * many are kept: an array that loses its first of two million elements moves all others, 0.4 ms for each line.
 */
export class LogTail {
  readonly omitted: Omitted = { bytes: 0, lines: 0 }
  #memory: Buffer | null = null
  #groups: Group[] = []
  #first = 0
  /** Of all bytes that were pushed, those from `#start` to `#end` are kept. */
  #start = 0
  #end = 0

  constructor(private readonly maxBytes: number) {}

  /** @param line with the newline at its end */
  push({ at, phase, stream, text }: LogChunkInput): void {
    const bytes = Buffer.from(text)
    while (this.#end - this.#start + bytes.length > this.maxBytes) {
      if (this.#end === this.#start) return this.#omit(bytes.length)
      this.#drop()
    }
    this.#write(bytes)
    const last = this.#groups.at(-1)
    const joins =
      last?.stream === stream && last.phase === phase && this.#end + bytes.length - last.start <= CHUNK_BYTES
    if (last && joins) last.end += bytes.length
    else this.#groups.push({ at, phase, stream, start: this.#end, end: this.#end + bytes.length })
    this.#end += bytes.length
    while (this.#groups.length - this.#first > TAIL_CHUNKS) this.#drop()
  }

  /** What is kept, joined to chunks. */
  chunks(): LogChunkInput[] {
    return this.#groups
      .slice(this.#first)
      .map(({ start, end, ...head }) => ({ ...head, text: this.#read(start, end).toString() }))
  }

  #drop(): void {
    const group = this.#groups[this.#first]
    if (!group) throw new Error('a log keeps more than it has')
    const end = this.#endOfLine(group.start)
    this.#omit(end - group.start)
    group.start = end
    this.#start = end
    if (group.start < group.end) return
    this.#first += 1
    if (this.#first < TAIL_CHUNKS) return
    this.#groups = this.#groups.slice(this.#first)
    this.#first = 0
  }

  #omit(bytes: number): void {
    this.omitted.bytes += bytes
    this.omitted.lines += 1
  }

  #write(bytes: Buffer): void {
    this.#memory ??= Buffer.allocUnsafeSlow(this.maxBytes)
    const at = this.#end % this.maxBytes
    const untilEnd = bytes.copy(this.#memory, at)
    bytes.copy(this.#memory, 0, untilEnd)
  }

  #read(start: number, end: number): Buffer {
    const memory = this.#memory ?? Buffer.alloc(0)
    const at = start % this.maxBytes
    const length = end - start
    const tail = memory.subarray(at, at + length)
    return Buffer.concat([tail, memory.subarray(0, length - tail.length)])
  }

  #endOfLine(start: number): number {
    const memory = this.#memory ?? Buffer.alloc(0)
    const at = start % this.maxBytes
    const found = memory.indexOf(NEWLINE, at)
    return found >= 0 ? start + found + 1 - at : start + this.maxBytes - at + memory.indexOf(NEWLINE) + 1
  }
}
