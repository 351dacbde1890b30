import { CHUNK_BYTES, type LogChunkInput } from './store.js'

/** The end of a log is kept in at most this many chunks: sources that write in turns make one of each line. */
export const TAIL_CHUNKS = 16_384

/** Lines of one source and phase that follow each other. */
interface Group {
  readonly head: LogChunkInput
  readonly texts: string[]
  /** Of `texts`, so many are dropped already. */
  dropped: number
  bytes: number
}

/** What was left out at the front. */
export interface Omitted {
  bytes: number
  lines: number
}

/**
 * The last lines of a stream of any length, up to `maxBytes` and {@link TAIL_CHUNKS}. A line costs the same however
 * many are kept: an array that loses its first of two million elements moves all others, 0.4 ms for each line.
 */
export class LogTail {
  readonly omitted: Omitted = { bytes: 0, lines: 0 }
  #groups: Group[] = []
  #first = 0
  #bytes = 0

  constructor(private readonly maxBytes: number) {}

  push(line: LogChunkInput): void {
    const bytes = Buffer.byteLength(line.text)
    const last = this.#groups.at(-1)
    const joins =
      last?.head.stream === line.stream &&
      last.head.phase === line.phase &&
      last.bytes > 0 &&
      last.bytes + bytes <= CHUNK_BYTES
    if (last && joins) {
      last.texts.push(line.text)
      last.bytes += bytes
    } else this.#groups.push({ head: line, texts: [line.text], dropped: 0, bytes })
    this.#bytes += bytes
    while (this.#bytes > this.maxBytes || this.#groups.length - this.#first > TAIL_CHUNKS) this.#drop()
  }

  /** What is kept, joined to chunks. */
  chunks(): LogChunkInput[] {
    return this.#groups
      .slice(this.#first)
      .map(({ head, texts, dropped }) => ({ ...head, text: texts.slice(dropped).join('') }))
  }

  #drop(): void {
    const group = this.#groups[this.#first]
    const text = group?.texts[group.dropped]
    if (!group || text === undefined) throw new Error('a log keeps more than it has')
    const bytes = Buffer.byteLength(text)
    group.dropped += 1
    group.bytes -= bytes
    this.#bytes -= bytes
    this.omitted.bytes += bytes
    this.omitted.lines += 1
    if (group.dropped < group.texts.length) return
    this.#first += 1
    if (this.#first < TAIL_CHUNKS) return
    this.#groups = this.#groups.slice(this.#first)
    this.#first = 0
  }
}
