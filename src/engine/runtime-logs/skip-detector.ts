import { LOG_FILE_BYTES } from '../docker/docker.js'
import type { ContainerOutput } from '../docker/docker.js'

/** Messages that come closer to each other than this are of one flow … */
const PAUSE_MS = 100
/** … which tells nothing before it is this long. */
const FLOW_BYTES = 1024 ** 2
/** A part of a file's time that is not there is noticed. */
const FILE_PART = 0.5

/**
 * Notices where the engine may have left out a whole file of the log, as it does when a container writes more than one
 * file while it reads another: in a flow of messages without a pause, as much time is missing as a file takes at the
 * flow's rate. What a container writes in bursts looks so at the beginning, and later not.
 */
export class SkipDetector {
  readonly #openedAt = Date.now()
  #flowBytes = 0
  #rateBytes = 0
  #rateMs = 0
  #before = { at: '', ms: 0 }

  /** Whether what lies before `message` has to be looked for. `waitedMs`: how long it was waited for. */
  isBehindSkip({ at, bytes }: ContainerOutput, waitedMs: number): boolean {
    const before = this.#before
    const ms = Date.parse(at)
    const missingMs = before.at === '' ? 0 : ms - before.ms - waitedMs
    this.#flowBytes = waitedMs > PAUSE_MS ? 0 : this.#flowBytes + bytes.length
    const fileMs = (this.#rateMs / Math.max(this.#rateBytes, 1)) * LOG_FILE_BYTES
    const isSuspect =
      this.#flowBytes >= FLOW_BYTES && missingMs > 0 && missingMs >= fileMs * FILE_PART && ms > this.#openedAt
    if (isSuspect) {
      this.#flowBytes = 0
      return true
    }
    this.#rateBytes += bytes.length
    this.#rateMs += Math.max(0, missingMs)
    this.#before = { at, ms }
    return false
  }
}
