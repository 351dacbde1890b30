import { type DeploymentStatus, LogSource } from '../../entities/deployment-status.js'
import type { LogChunkInput } from './store.js'

/** The beginning of a log is stored as it comes, up to this many bytes … */
export const HEAD_BYTES = 8 * 1024 * 1024
/** … and its end up to this many, because that is what people need of a build that failed. */
export const TAIL_BYTES = 2 * 1024 * 1024
const PROGRESS_MS = 5_000
/** Lines are joined to chunks up to this. */
export const CHUNK_BYTES = 16 * 1024

/** Bounds one deployment's log: the first 8 MiB, an exact count of what is left out, the last 2 MiB. */
export class LogCap {
  #headBytes = 0
  #isInHead = true
  #tail: LogChunkInput[] = []
  #tailBytes = 0
  #omittedBytes = 0
  #omittedLines = 0
  #saidAt = 0

  /** Gives what of `line` is to be stored now: itself, or from time to time how much has been left out. */
  take(line: LogChunkInput): LogChunkInput[] {
    const bytes = Buffer.byteLength(line.text)
    if (this.#isInHead && this.#headBytes + bytes <= HEAD_BYTES) {
      this.#headBytes += bytes
      return [line]
    }
    this.#isInHead = false
    this.#keepAtEnd(line, bytes)
    const now = line.at.getTime()
    if (now - this.#saidAt < PROGRESS_MS) return []
    this.#saidAt = now
    const text = `--- the log is over ${HEAD_BYTES} bytes: its last ${TAIL_BYTES} bytes follow at the end ---\n`
    return [{ ...line, stream: LogSource.SYSTEM, text }]
  }

  /** What is stored when the log ends. */
  remainder(phase: DeploymentStatus): { chunks: LogChunkInput[]; omittedBytes: number } {
    if (this.#isInHead) return { chunks: [], omittedBytes: 0 }
    const text = `--- ${this.#omittedBytes} bytes / ${this.#omittedLines} lines omitted ---\n`
    const notice = { at: new Date(), phase, stream: LogSource.SYSTEM, text }
    return { chunks: [notice, ...this.#joined()], omittedBytes: this.#omittedBytes }
  }

  #keepAtEnd(line: LogChunkInput, bytes: number): void {
    this.#tail.push(line)
    this.#tailBytes += bytes
    while (this.#tailBytes > TAIL_BYTES) {
      const dropped = this.#tail.shift()
      if (!dropped) return
      const droppedBytes = Buffer.byteLength(dropped.text)
      this.#tailBytes -= droppedBytes
      this.#omittedBytes += droppedBytes
      this.#omittedLines += 1
    }
  }

  #joined(): LogChunkInput[] {
    const chunks: LogChunkInput[] = []
    let lastBytes = 0
    for (const line of this.#tail) {
      const bytes = Buffer.byteLength(line.text)
      const last = chunks.at(-1)
      const joins =
        last?.stream === line.stream && last.phase === line.phase && lastBytes + bytes <= CHUNK_BYTES
      if (last && joins) chunks[chunks.length - 1] = { ...last, text: last.text + line.text }
      else chunks.push(line)
      lastBytes = joins ? lastBytes + bytes : bytes
    }
    return chunks
  }
}
