import { setImmediate as turn } from 'node:timers/promises'

/** Steps after which others have a turn: some milliseconds. */
const STEPS_OF_A_TURN = 50_000

/**
 * How much may be compared, counted in steps: the same input ends at the same place on every machine. This process serves
 * the API and requests to apps as well, so whoever spends lets them have a turn whenever one is due.
 */
export class Effort {
  #spent = 0
  #sinceTurn = 0

  constructor(
    private readonly most: number,
    private readonly signal?: AbortSignal,
  ) {}

  /** False: it is spent. */
  spend(steps: number): boolean {
    this.#spent += steps
    this.pass(steps)
    return this.#spent <= this.most
  }

  /** Steps that are as many as there is input to be read: no bound is needed, but turns are. */
  pass(steps: number): void {
    this.#sinceTurn += steps
  }

  get isTurnDue(): boolean {
    return this.#sinceTurn >= STEPS_OF_A_TURN
  }

  /** Lets others run. @throws what the signal was aborted with */
  async turn(): Promise<void> {
    this.#sinceTurn = 0
    await turn()
    this.signal?.throwIfAborted()
  }
}
