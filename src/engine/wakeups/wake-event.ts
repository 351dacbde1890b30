/**
 * A wait that news ends, also news that came before the wait began. Clear it, look, and wait if there is nothing: what
 * happens during the look is not slept through.
 */
export class WakeEvent {
  #isSet = false
  #wake: () => void = () => undefined

  /** Ends the wait under way, or else the next one. */
  set(): void {
    this.#isSet = true
    this.#wake()
  }

  /** What was set until now has been seen to. */
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
