import { once } from 'node:events'
import { WebSocket } from 'ws'
import { TOKEN, until } from './server.js'

export interface Message {
  readonly id?: string
  readonly type: string
  readonly payload?: unknown
}

/** A connection for subscriptions, message by message as they come; what graphql-ws' client would hide. */
export class Subscriber implements Disposable {
  readonly messages: Message[] = []
  closed: { readonly code: number; readonly reason: string } | null = null

  private constructor(private readonly socket: WebSocket) {
    socket.on('message', (data: Buffer) => void this.messages.push(JSON.parse(data.toString()) as Message))
    socket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }))
    socket.on('error', () => undefined)
  }

  /** Is acknowledged. */
  static async open(port: number): Promise<Subscriber> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws')
    const subscriber = new Subscriber(socket)
    await once(socket, 'open')
    subscriber.#send({ type: 'connection_init', payload: { authorization: `Bearer ${TOKEN}` } })
    await until(() => subscriber.messages.some(({ type }) => type === 'connection_ack'))
    return subscriber
  }

  subscribe(id: string, query: string, variables: object = {}, operationName?: string): void {
    this.#send({ id, type: 'subscribe', payload: { query, variables, operationName } })
  }

  complete(id: string): void {
    this.#send({ id, type: 'complete' })
  }

  of(id: string): Message[] {
    return this.messages.filter((message) => message.id === id)
  }

  /** The data of a subscription's events. */
  dataOf(id: string): unknown[] {
    return this.of(id).flatMap(({ type, payload }) =>
      type === 'next' ? [(payload as { data: unknown }).data] : [],
    )
  }

  /** Until a subscription is over. */
  async ended(id: string): Promise<void> {
    await until(() => this.closed !== null || this.of(id).some(({ type }) => type !== 'next'))
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** As of a client that is gone without a word. */
  [Symbol.dispose](): void {
    this.socket.terminate()
  }

  #send(message: object): void {
    this.socket.send(JSON.stringify(message))
  }
}
