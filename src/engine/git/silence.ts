import { bytesMoved } from './bytes-moved.js'

/** Hears of a silence when half of the time is over after which it ends the fetch. */
export type SilenceListener = (silentMs: number, limitMs: number) => void

/** So often in the limit's time is looked whether anything came. */
const LOOKS = 12

/** Watches a program that talks to a server. */
export class SilenceWatch implements Disposable {
  readonly #silent = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #heardAt = performance.now()
  #moved: number | null = null
  #isTold = false

  constructor(
    private readonly limitMs: number,
    private readonly onSilence?: SilenceListener,
  ) {}

  /** Aborts when nothing has come for the limit's time. */
  get signal(): AbortSignal {
    return this.#silent.signal
  }

  /** Something has come. */
  heard(): void {
    this.#heardAt = performance.now()
    this.#isTold = false
  }

  start(pid: number): void {
    this.heard()
    this.#timer = setInterval(() => void this.#look(pid), this.limitMs / LOOKS).unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  async #look(pid: number): Promise<void> {
    const moved = await bytesMoved(pid)
    if (moved !== this.#moved) this.heard()
    this.#moved = moved
    const silentMs = performance.now() - this.#heardAt
    if (silentMs >= this.limitMs) return this.#silent.abort()
    if (this.#isTold || silentMs < this.limitMs / 2) return
    this.#isTold = true
    this.onSilence?.(silentMs, this.limitMs)
  }
}
