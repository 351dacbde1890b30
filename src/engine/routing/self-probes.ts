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
   * Sends a request. Null when an app answers it, and not the router; one that takes longer is slow, but it was reached.
   * Else what came back.
   *
   * @throws an error of what this process lacks ({@link isResourceExhaustion})
   */
  findFault(asked: ClientRequest, timeoutMs: number): Promise<string | null> {
    return new Promise((resolve, reject) => {
      const stopWaiting = stallTolerantTimeout(timeoutMs, () => finish(null))
      const finish = (answer: string | null | Error) => {
        stopWaiting()
        if (answer instanceof Error) reject(answer)
        else resolve(answer)
        asked.destroy()
      }
      asked.once('socket', (socket) => {
        this.#sockets.add(socket)
        socket.once('close', () => this.#sockets.delete(socket))
      })
      asked.once('response', ({ headers, statusCode }) => {
        if (headers[MARK] === 'busy') finish(outOfResources('the router could not ask'))
        else finish(isErrorPage(headers) ? `was answered ${statusCode} by the router itself` : null)
      })
      asked.once('error', (error) =>
        finish(isResourceExhaustion(error) ? error : `failed (${error.message})`),
      )
      asked.end()
    })
  }
}
