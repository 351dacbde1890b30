import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'

/** More bytes than this that the client has not taken yet, and nothing live is sent to it. */
const MAX_UNTAKEN_BYTES = 1024 * 1024
/** Messages travel together, in one system call, up to this. */
const WRITE_BYTES = 64 * 1024
/** graphql-transport-ws has codes of HTTP behind 44: too many requests. */
const TOO_SLOW = 4429
const FRAGMENT = { binary: false, fin: false }
const LAST_FRAGMENT = { binary: false, fin: true }

export interface ConnectionTimes {
  /** A client that does not answer a ping within this is cut. */
  readonly pingMs: number
  /** One that takes nothing of what was sent to it for so long is closed. */
  readonly stallMs: number
}

/** The connection of one client, for the messages that many clients get: what it has not taken, and whether it lives. */
export class ClientConnection {
  #draining: Promise<void> | null = null
  #isAsked = false

  constructor(
    private readonly socket: WebSocket,
    private readonly transport: Socket,
    private readonly times: ConnectionTimes,
  ) {
    const pinging = setInterval(() => this.#ask(), times.pingMs)
    socket.once('close', () => clearInterval(pinging))
    socket.on('pong', () => (this.#isAsked = false))
  }

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN
  }

  /** Whether what was sent has to leave this process before more is read for the client. */
  get isFull(): boolean {
    return this.transport.writableNeedDrain
  }

  /** Whether nothing live may be sent. */
  get isBehind(): boolean {
    return this.socket.bufferedAmount > MAX_UNTAKEN_BYTES
  }

  /**
   * Sends messages that begin with `prefix`, as far as `isEnough` lets it; gives how many. Their rest is not copied: each
   * message is two fragments, so that all clients that are behind hold the same bytes.
   */
  send(prefix: Buffer, messages: readonly Buffer[], isEnough: () => boolean): number {
    let sent = 0
    while (sent < messages.length && this.isOpen && !isEnough()) {
      this.transport.cork()
      for (let bytes = 0; sent < messages.length && bytes < WRITE_BYTES; sent++) {
        const message = messages[sent] as Buffer
        this.socket.send(prefix, FRAGMENT)
        this.socket.send(message, LAST_FRAGMENT)
        bytes += message.length
      }
      this.transport.uncork()
    }
    return sent
  }

  /** Resolves when the client has taken what was sent, or is gone. One that does not for too long is closed. */
  drained(): Promise<void> {
    if (!this.isFull) return Promise.resolve()
    this.#draining ??= this.#drain().finally(() => (this.#draining = null))
    return this.#draining
  }

  async #drain(): Promise<void> {
    const { transport, times } = this
    const stalled = setTimeout(() => this.#close(), times.stallMs)
    await new Promise<void>((resolve) => {
      const settle = () => {
        transport.off('drain', settle).off('close', settle)
        resolve()
      }
      transport.on('drain', settle).on('close', settle)
    })
    clearTimeout(stalled)
  }

  #close(): void {
    const seconds = this.times.stallMs / 1000
    this.socket.close(TOO_SLOW, `nothing was read for ${seconds} s: subscribe again, after what was seen`)
  }

  /** One that has not taken what was sent before the ping cannot answer it. */
  #ask(): void {
    if (this.isFull) return void this.drained()
    if (this.#isAsked) return this.transport.writableLength > 0 ? this.#close() : this.socket.terminate()
    this.#isAsked = true
    this.socket.ping()
  }
}
