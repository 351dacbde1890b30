import { type DeploymentStatus, LogStream } from '../../entities/deployment-status.js'
import { LogTail } from './log-tail.js'
import type { LogChunkInput, OverflowTail } from './store.js'

/** The beginning of a log is stored as it comes, up to this many bytes … */
export const HEAD_BYTES = 8 * 1024 * 1024
/** … and its end, because that is what people need of a build that failed: with what is said of both, 10 MiB in all. */
export const TAIL_BYTES = 2 * 1024 * 1024 - 16 * 1024
const PROGRESS_MS = 5_000

/** Bounds one deployment's log: the first 8 MiB, an exact count of what is left out, the last 2 MiB. */
export class LogCap {
  #headBytes = 0
  #isInHead = true
  readonly #tail = new LogTail(TAIL_BYTES)
  /** Whether the engine that builds has left lines out before they came here. */
  clipped = false
  #lastNoticeAt = 0

  /** Gives what of `line` is to be stored now: itself, or from time to time how much has been left out. */
  take(line: LogChunkInput): LogChunkInput[] {
    const bytes = Buffer.byteLength(line.text)
    if (this.#isInHead && this.#headBytes + bytes <= HEAD_BYTES) {
      this.#headBytes += bytes
      return [line]
    }
    this.#isInHead = false
    this.#tail.push(line)
    const now = line.at.getTime()
    if (now - this.#lastNoticeAt < PROGRESS_MS) return []
    this.#lastNoticeAt = now
    const text = `--- the log is over ${HEAD_BYTES} bytes: its last ${TAIL_BYTES} bytes follow at the end ---\n`
    return [{ ...line, stream: LogStream.SYSTEM, text }]
  }

  /** What is stored when the log ends. */
  overflowTail(phase: DeploymentStatus): OverflowTail {
    if (this.#isInHead) return { chunks: [], omittedBytes: 0, clipped: this.clipped }
    const { bytes, lines } = this.#tail.omitted
    const text = `--- ${bytes} bytes / ${lines} lines omitted ---\n`
    const notice = { at: new Date(), phase, stream: LogStream.SYSTEM, text }
    return { chunks: [notice, ...this.#tail.chunks()], omittedBytes: bytes, clipped: this.clipped }
  }
}
