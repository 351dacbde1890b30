import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { isResourceExhaustion, outOfResources } from '../resource-exhaustion.js'
import { stallTolerantTimeout } from '../stall-tolerant-timeout.js'
import { isErrorPage, MARK } from './error-page.js'

/** Requests that a router sends to itself. */
export class SelfProbes {
  readonly #sockets = new Set<Socket>()

  /** Whether the other end of a connection to this process is one of theirs. */
  has({ remotePort }: Socket): boolean {
    return [...this.#sockets].some(({ localPort }) => localPort === remotePort)
  }

  /**
   * Sends a request. Whether an app answers it, and not the router; one that takes longer is slow, but it was reached.
   *
   * @throws an error of what this process lacks ({@link isResourceExhaustion})
   */
  isAnswered(asked: ClientRequest, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const stopWaiting = stallTolerantTimeout(timeoutMs, () => finish(true))
      const finish = (answer: boolean | Error) => {
        stopWaiting()
        if (answer instanceof Error) reject(answer)
        else resolve(answer)
        asked.destroy()
      }
      asked.once('socket', (socket) => {
        this.#sockets.add(socket)
        socket.once('close', () => this.#sockets.delete(socket))
      })
      asked.once('response', ({ headers }) =>
        finish(headers[MARK] === 'busy' ? outOfResources('the router could not ask') : !isErrorPage(headers)),
      )
      asked.once('error', (error) => finish(isResourceExhaustion(error) ? error : false))
      asked.end()
    })
  }
}
