/** So long nothing has come, when it is first looked whether something should have … */
const FIRST_MS = 2_000
/** … and then at twice the time each, up to this. */
const MAX_MS = 30_000
/** What was written a moment ago is still on its way. */
const GRACE_MS = 500

/** Notices that nothing comes any more although there is something. */
export class StallDetector implements Disposable {
  #timer: NodeJS.Timeout | undefined
  #wait = 0

  constructor(
    private readonly isBehind: () => Promise<boolean>,
    private readonly onStall: () => void,
  ) {}

  /** The next message is waited for from now on. */
  begin(): void {
    this.#lookIn(FIRST_MS, false)
  }

  /** It has come. */
  end(): void {
    this.#wait++
    clearTimeout(this.#timer)
  }

  [Symbol.dispose](): void {
    this.end()
  }

  #lookIn(ms: number, wasBehind: boolean): void {
    this.#timer = setTimeout(() => void this.#look(ms, wasBehind), ms)
  }

  async #look(ms: number, wasBehind: boolean): Promise<void> {
    const wait = this.#wait
    const isBehind = await this.isBehind().catch(() => false)
    if (wait !== this.#wait) return
    if (isBehind && wasBehind) this.onStall()
    else this.#lookIn(isBehind ? GRACE_MS : Math.min(2 * ms, MAX_MS), isBehind)
  }
}
