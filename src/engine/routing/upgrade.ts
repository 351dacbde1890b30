import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { errorPage } from './error-page.js'
import { Exchange, type Upstream } from './exchange.js'
import { answerHeaders, forwardedHeaders } from './headers.js'
import { relayInterim } from './interim.js'
import { relay } from './relay.js'

/** A client asks for a WebSocket. */
export interface Handshake {
  readonly incoming: IncomingMessage
  /** Answers in any other way, and ends the connection; it has the socket until it is detached. */
  readonly response: ServerResponse
  readonly socket: Socket
  /** What the client has sent already of the other protocol. */
  readonly head: Buffer
}

/**
 * Asks the target for a WebSocket, and connects it with the client, byte for byte, once the app has agreed. Whatever
 * else the app answers is an ordinary answer, after which the connection ends: nothing that follows gets to the app.
 */
export function upgrade({ incoming, response, socket, head }: Handshake, upstream: Upstream): void {
  const headers = {
    ...forwardedHeaders(incoming, upstream.proxies),
    connection: 'Upgrade',
    upgrade: 'websocket',
  }
  const forwarding = { incoming, headers, hasBody: false, repeatable: false }
  const exchange = new Exchange(forwarding, upstream, {
    interim: (information) => relayInterim(information, response),
    answered(answer) {
      socket.resume()
      relay(answer, incoming, response)
    },
    upgraded(answer, upstream, upstreamHead) {
      socket.off('end', giveUp)
      response.detachSocket(socket)
      socket.write(switching(answer), 'latin1')
      socket.write(upstreamHead)
      upstream.write(head)
      join(socket, upstream)
    },
    failed(page) {
      socket.resume()
      errorPage(incoming, response, page)
    },
  })
  // Before the app has agreed, a connection that is half closed serves nothing.
  const giveUp = () => socket.destroy()
  socket.once('end', giveUp)
  socket.once('close', () => exchange.close())
  exchange.send()
}

function join(socket: Socket, upstream: Socket): void {
  upstream.on('error', () => upstream.destroy())
  upstream.once('close', () => socket.destroySoon()) // what the app said last may still be on its way
  socket.once('close', () => upstream.destroy())
  socket.pipe(upstream).pipe(socket)
}

/** The head of the app's 101. */
function switching({ rawHeaders, headers }: IncomingMessage): string {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', `Upgrade: ${headers.upgrade}`]
  const own = answerHeaders(rawHeaders)
  for (let at = 0; at < own.length; at += 2) lines.push(`${own[at]}: ${own[at + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}
