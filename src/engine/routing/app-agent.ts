import { Agent, type ClientRequest } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Idle connections are closed after this: before most apps close theirs (Node.js and Uvicorn after 5 s), because one that
 * an app closes in the moment in which it is used costs a second try.
 */
const IDLE_MS = 4_000

/**
 * Keeps connections to apps for further requests. Whatever an app says on one that is idle (its end, an answer that nobody
 * asked for, the rest of a body that was too long) ends it: it would be taken for the answer to the next request.
 */
export class AppAgent extends Agent {
  /** By connection: what ends it while it is idle. */
  readonly #watching = new WeakMap<Socket, () => void>()

  constructor(private readonly idleMs = IDLE_MS) {
    super({ keepAlive: true, maxSockets: Infinity, keepAliveMsecs: 1_000, timeout: 0 })
  }

  override keepSocketAlive(socket: Socket): boolean {
    // The types say that it returns nothing; Node.js keeps the connection where it returns true.
    if ((super.keepSocketAlive(socket) as unknown) !== true) return false
    const end = () => void socket.destroy()
    this.#watching.set(socket, end)
    socket.on('data', end).on('end', end).setTimeout(this.idleMs, end)
    return true
  }

  override reuseSocket(socket: Socket, request: ClientRequest): void {
    const end = this.#watching.get(socket)
    if (end) socket.off('data', end).off('end', end).setTimeout(0, end)
    super.reuseSocket(socket, request)
  }

  /** Closes what is idle. */
  closeIdle(): void {
    for (const socket of Object.values(this.freeSockets).flatMap((sockets) => sockets ?? [])) socket.destroy()
  }
}
