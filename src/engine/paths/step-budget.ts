import { setImmediate as turn } from 'node:timers/promises'

/** Steps after which the event loop runs: some milliseconds. */
const STEPS_PER_YIELD = 50_000

/**
 * How much may be compared, counted in steps: the same input ends at the same step on every machine. This process serves
 * the API and requests to apps as well, so whoever spends steps yields to the event loop whenever that is due.
 */
export class StepBudget {
  #spent = 0
  #sinceYield = 0

  constructor(
    private readonly maxSteps: number,
    private readonly signal?: AbortSignal,
  ) {}

  /** False: it is spent. */
  spend(steps: number): boolean {
    this.#spent += steps
    this.count(steps)
    return this.#spent <= this.maxSteps
  }

  /** Steps that are as many as there is input to be read: they are not bounded, but yielding counts them. */
  count(steps: number): void {
    this.#sinceYield += steps
  }

  get isYieldDue(): boolean {
    return this.#sinceYield >= STEPS_PER_YIELD
  }

  /** Yields to the event loop. @throws what the signal was aborted with */
  async yieldTurn(): Promise<void> {
    this.#sinceYield = 0
    await turn()
    this.signal?.throwIfAborted()
  }
}
