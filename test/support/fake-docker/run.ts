import { setTimeout as sleep } from 'node:timers/promises'
import { type Addresses, type Listener, listen } from './addresses.js'
import type { Endpoint, FakeContainer } from './model.js'
import { type Action, type Program, repeated } from './program.js'

/** What a run tells of itself. */
export interface RunEvents {
  write(stream: 1 | 2, text: string): void
  exit(code: number, outOfMemory: boolean): Promise<void>
}

/** One start of a container: its program at work, and where it listens. It ends with the container's end. */
export class Run implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly signal = this.#stop.signal
  readonly #ports: number[] = []
  readonly #listeners = new Map<Endpoint, Listener[]>()

  constructor(
    private readonly container: FakeContainer,
    private readonly program: Program,
    private readonly addresses: Addresses,
    private readonly tells: RunEvents,
  ) {}

  /** Resolves when it has done what it does at once: it listens, unless it takes its time. */
  async begin(): Promise<void> {
    const { actions } = this.program
    const soon = actions.findIndex(({ kind }) => kind !== 'write' && kind !== 'listen')
    for (const action of actions.slice(0, soon)) await this.#act(action)
    void this.#goOn(actions.slice(soon))
  }

  /** It listens at one more address. */
  async attach(endpoint: Endpoint): Promise<void> {
    for (const port of this.#ports) await this.#listen(endpoint, port)
  }

  async leave(endpoint: Endpoint): Promise<void> {
    const listeners = this.#listeners.get(endpoint) ?? []
    this.#listeners.delete(endpoint)
    await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#listeners.keys()].map((endpoint) => this.leave(endpoint)))
  }

  async #goOn(actions: readonly Action[]): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve)) // the answer to the start goes first
    for (const action of actions) {
      if (this.signal.aborted) return
      await this.#act(action)
    }
  }

  async #act(action: Action): Promise<void> {
    if (action.kind === 'write') this.tells.write(action.stream, action.text)
    else if (action.kind === 'repeat') for (const piece of repeated(action)) this.tells.write(1, piece)
    else if (action.kind === 'sleep') await pause(action.ms, this.signal)
    else if (action.kind === 'exit') await this.tells.exit(action.code, action.outOfMemory ?? false)
    else if (action.kind === 'listen') {
      this.#ports.push(action.port)
      for (const endpoint of this.container.endpoints) await this.#listen(endpoint, action.port)
    }
  }

  async #listen(endpoint: Endpoint, port: number): Promise<void> {
    const listener = await listen(endpoint, port, this.addresses, () => this.program)
    if (this.signal.aborted) return listener[Symbol.asyncDispose]()
    this.#listeners.set(endpoint, [...(this.#listeners.get(endpoint) ?? []), listener])
  }
}

/** Waits, but not longer than the signal lets it; never rejects. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}
