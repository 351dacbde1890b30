/** A value that changes, in the form that React's `useSyncExternalStore` takes. */
export interface Store<T> {
  get(): T
  /** Calls `listener` after each change, until what it gives is called. */
  subscribe(listener: () => void): () => void
}

/** A store that its owner sets. */
export class Value<T> implements Store<T> {
  readonly #listeners = new Set<() => void>()
  #value: T

  constructor(value: T) {
    this.#value = value
  }

  readonly get = (): T => this.#value

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return
    this.#value = value
    for (const listener of [...this.#listeners]) listener()
  }
}
