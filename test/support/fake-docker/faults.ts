export type FaultKind =
  /** Answers after `ms`. */
  | 'delay'
  /** Takes the request and never answers. */
  | 'hang'
  /** Refuses it; nothing is carried out. */
  | 'error500'
  /** Breaks the connection in the middle of the answer. */
  | 'reset'
  /** Ends the answer cleanly before its result. */
  | 'early-eof'
  /** Carries it out, then breaks the connection, or says 500, before any answer. */
  | 'done-then-error'
  /** Ends the answer cleanly in the middle of a frame or a line. */
  | 'half-frame'
  /** Cuts the answer inside its characters. */
  | 'split-utf8'
  /** Ends a build with an error in its stream. */
  | 'error-line'

export interface FaultOptions {
  /** Default: any. */
  readonly method?: string
  /** Of the path without its version, with the query decoded: `/containers/json?all=true`. */
  readonly path: RegExp
  readonly kind: FaultKind
  /** So many requests are struck; default 1. */
  readonly times?: number
  /** delay: milliseconds. */
  readonly ms?: number
  /** reset, early-eof, half-frame: so many pieces of the answer are let through whole first. */
  readonly after?: number
  /** done-then-error: what the client gets; default reset. */
  readonly then?: 'reset' | 'error500'
  /** error-line: the exit code it tells; default 1. */
  readonly code?: number
}

/** A fault that waits to strike. */
export class Fault {
  hits = 0
  #left: number

  constructor(readonly options: FaultOptions) {
    this.#left = options.times ?? 1
  }

  /** It strikes no more. */
  clear(): void {
    this.#left = 0
  }

  /** True: it strikes this request. */
  take(method: string, path: string): boolean {
    const { options } = this
    const wanted = this.#left > 0 && (options.method ?? method) === method && options.path.test(path)
    if (wanted) {
      this.#left--
      this.hits++
    }
    return wanted
  }
}

export type Outcome = 'ok' | 'fail'

/** Holds requests back until it is told to let them go on. */
export class Gate {
  #open: Outcome | null = null
  readonly #held: ((outcome: Outcome) => void)[] = []
  readonly #watchers = new Set<() => void>()

  constructor(private readonly path: RegExp) {}

  /** Requests that wait. */
  get waiting(): number {
    return this.#held.length
  }

  /** Resolves when at least so many wait. */
  async until(count = 1): Promise<void> {
    while (this.waiting < count) {
      await new Promise<void>((resolve) => this.#watchers.add(resolve))
    }
  }

  /** Lets the request that has waited longest go on; the gate stays shut. False: none waits. */
  next(outcome: Outcome = 'ok'): boolean {
    const oldest = this.#held[0]
    oldest?.(outcome)
    return oldest !== undefined
  }

  /** Lets all go on that wait, and opens the gate for good. `fail`: they are refused, nothing is carried out. */
  release(outcome: Outcome = 'ok'): void {
    this.#open = outcome
    for (const go of [...this.#held]) go(outcome)
  }

  takes(path: string): boolean {
    return this.#open === null && this.path.test(path)
  }

  /** One that it took before it was opened goes on as those that waited. @throws the signal's reason when the client went away */
  wait(signal: AbortSignal): Promise<Outcome> {
    if (this.#open !== null) return Promise.resolve(this.#open)
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#held.splice(this.#held.indexOf(go), 1)
        signal.removeEventListener('abort', abort)
      }
      const go = (outcome: Outcome) => {
        leave()
        resolve(outcome)
      }
      const abort = () => {
        leave()
        reject(signal.reason as Error)
      }
      if (signal.aborted) return reject(signal.reason as Error)
      signal.addEventListener('abort', abort, { once: true })
      this.#held.push(go)
      for (const watcher of this.#watchers) watcher()
      this.#watchers.clear()
    })
  }
}
