import { LOG_FILE_BYTES, type ContainerOutput } from '../docker/docker.js'

/** Less than this says nothing of how fast a container writes. */
const MIN_BYTES = 1024 ** 2
/** How fast it writes at its fastest is measured over so many bytes. */
const STEP_BYTES = 64 * 1024
/** More than this part of a file's time without a line is suspect. */
const FILE_PART = 0.5

/**
 * Notices where the engine may have left out a whole file of the log, as it does when a container writes more than one
 * file while it reads another: no line for longer than half a file takes the container at its fastest. It goes by the times
 * of the messages alone, since when they arrive says nothing on a busy machine. A container that rests looks the same,
 * once for each length of its rests.
 */
export class SkipDetector {
  readonly #openedAt = Date.now()
  #bytes = 0
  #step = { ms: 0, bytes: 0 }
  #fastestFileMs = Number.POSITIVE_INFINITY
  #before = { at: '', ms: 0 }
  #suspect = { at: '', gapMs: 0 }
  /** The longest rest behind which nothing was missing. */
  #restMs = 0

  /** When the message before was written; empty: there was none. */
  get beforeAt(): string {
    return this.#before.at
  }

  /** Whether something may be missing before `message`. */
  isSuspect({ at }: ContainerOutput): boolean {
    const ms = Date.parse(at)
    const isMeasured = this.#bytes >= MIN_BYTES && this.#before.at !== '' && ms > this.#openedAt
    const gapMs = ms - this.#before.ms
    if (!isMeasured || gapMs <= this.#restMs || gapMs < this.#fastestFileMs * FILE_PART) return false
    this.#suspect = { at, gapMs }
    return true
  }

  /** Nothing is missing before `message`. */
  add({ at, bytes }: ContainerOutput): void {
    const ms = Date.parse(at)
    if (at === this.#suspect.at) this.#restMs = this.#suspect.gapMs
    this.#bytes += bytes.length
    this.#step.bytes += bytes.length
    if (this.#step.bytes >= STEP_BYTES) {
      const fileMs = (Math.max(ms - this.#step.ms, 1) / this.#step.bytes) * LOG_FILE_BYTES
      this.#fastestFileMs = Math.min(this.#fastestFileMs, fileMs)
      this.#step = { ms, bytes: 0 }
    }
    this.#before = { at, ms }
  }
}
