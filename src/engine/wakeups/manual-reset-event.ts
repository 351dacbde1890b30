/**
 * A flag that one can wait for, also where it was set before the wait began. It stays set until it is cleared: clear it,
 * look, and wait if there is nothing, so that what happens during the look is not slept through.
 */
export class ManualResetEvent {
  #isSet = false
  #wake: () => void = () => undefined

  /** Ends the wait under way, or else the next one. */
  set(): void {
    this.#isSet = true
    this.#wake()
  }

  /** The next wait is for what happens from now on. */
  clear(): void {
    this.#isSet = false
  }

  /** Until it is set, at most `ms`. One waits at a time. */
  async wait(ms: number): Promise<void> {
    if (this.#isSet) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => undefined
  }
}
