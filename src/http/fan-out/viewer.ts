import type { ClientConnection } from './client-connection.js'
import type { Reader, Topic, Viewer } from './topic.js'

/**
 * One subscription. For graphql-ws it is an iterator that gives nothing and ends when the subscription does; the events
 * go to the client directly, in bytes that its topic has made for all.
 *
 * It is live, and the topic sends; or it is behind, and reads pages with a reader of its own, as fast as its client
 * takes them, until it stands where the topic stands. Nothing is read before the iterator is asked.
 */
export class SubscriptionViewer implements Viewer, AsyncIterableIterator<never> {
  private readonly connection: ClientConnection
  readonly #prefix: Buffer
  /** Null: the topic's is read, or there is nothing more to read. */
  #reader: Reader | null
  /** Read and not sent. */
  #backlog: readonly Buffer[] = []
  #isLive = false
  #isStarted = false
  #isOver = false
  #failure: { readonly error: unknown } | null = null
  #wake: () => void = () => undefined
  #settle: () => void = () => undefined
  readonly #over = new Promise<void>((resolve) => (this.#settle = resolve))

  constructor(
    private readonly topic: Topic,
    { connection, id }: { readonly connection: ClientConnection; readonly id: string },
    reader: Reader,
  ) {
    this.connection = connection
    this.#prefix = Buffer.from(`{"id":${JSON.stringify(id)},"type":"next","payload":`)
    this.#reader = reader
    topic.enter(this)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<never>> {
    if (!this.#isStarted) void this.#follow()
    this.#isStarted = true
    await this.#over
    if (this.#failure) throw this.#failure.error
    return { done: true, value: undefined }
  }

  return(): Promise<IteratorResult<never>> {
    this.#end()
    return Promise.resolve({ done: true, value: undefined })
  }

  goLive(): void {
    this.#reader = null
    this.#isLive = true
  }

  show(messages: readonly Buffer[]): readonly Buffer[] {
    const sent = this.connection.send(this.#prefix, messages, () => this.connection.isBehind)
    return sent === messages.length ? [] : messages.slice(sent)
  }

  goOn(backlog: readonly Buffer[], reader: Reader | null): void {
    this.#backlog = backlog
    this.#reader = reader
    this.#isLive = false
    this.#wake()
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#end()
  }

  async #follow(): Promise<void> {
    try {
      while (!this.#isOver && (this.#isLive || (await this.#hasMore()))) {
        if (this.#isLive) await new Promise<void>((resolve) => (this.#wake = resolve))
      }
      this.#end()
    } catch (error) {
      this.fail(error)
    }
  }

  /** Sends what was read, then reads on, unless it may go live. */
  async #hasMore(): Promise<boolean> {
    await this.#sendBacklog()
    const reader = this.#reader
    if (this.#isOver || !this.connection.isOpen || !reader || reader.isDone) return false
    if (this.topic.admit(this, reader)) return true
    const page = await reader.nextPage()
    this.topic.withdraw(this)
    // Where it went live meanwhile, its reader was ended and has given nothing.
    if (this.#reader === reader) this.#backlog = await this.topic.messagesOf(page)
    return true
  }

  async #sendBacklog(): Promise<void> {
    while (this.#backlog.length > 0 && !this.#isOver && this.connection.isOpen) {
      const sent = this.connection.send(this.#prefix, this.#backlog, () => this.connection.isFull)
      this.#backlog = this.#backlog.slice(sent)
      await this.connection.drained()
    }
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#backlog = []
    this.topic.leave(this)
    void this.#reader?.return()
    this.#wake()
    this.#settle()
  }
}
