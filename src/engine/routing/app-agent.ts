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
  constructor(idleMs = IDLE_MS) {
    // The time-out of an agent ends what is idle alone; an app may take as long for an answer as it likes.
    super({ keepAlive: true, maxSockets: Infinity, keepAliveMsecs: 1_000, timeout: idleMs })
  }

  override keepSocketAlive(socket: Socket): boolean {
    // The types say that it returns nothing; Node.js keeps the connection where it returns true.
    if ((super.keepSocketAlive(socket) as unknown) !== true) return false
    socket.on('data', end).on('end', end)
    return true
  }

  override reuseSocket(socket: Socket, request: ClientRequest): void {
    socket.off('data', end).off('end', end)
    super.reuseSocket(socket, request)
  }

  /** Closes what is idle. */
  closeIdle(): void {
    for (const socket of Object.values(this.freeSockets).flatMap((sockets) => sockets ?? [])) socket.destroy()
  }
}

/** One for all connections: each is watched and let go of as often as it is used. */
function end(this: Socket): void {
  this.destroy()
}
