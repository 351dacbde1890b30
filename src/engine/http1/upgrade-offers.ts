import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { hasBody, tokensOf } from './request-heads.js'

const OFFER_HEADERS = new Set(['connection', 'upgrade', 'http2-settings'])

/** Whether a request that offers an upgrade asks for a WebSocket (RFC 6455, 4.1); every other offer may be ignored. */
export function asksForWebSocket(incoming: IncomingMessage): boolean {
  const offered = tokensOf((incoming.headers.upgrade ?? '').toLowerCase())
  const isPlain = incoming.method === 'GET' && incoming.httpVersion === '1.1' && !hasBody(incoming)
  return isPlain && offered.includes('websocket')
}

/**
 * An answer to a request whose socket Node.js has let go of for an upgrade. Null: a request before it on the same
 * connection is still being answered, and nobody would keep the two answers apart.
 */
export function answerOn(socket: Socket, incoming: IncomingMessage): ServerResponse | null {
  const response = new ServerResponse(incoming)
  try {
    response.assignSocket(socket)
    return response
  } catch {
    return null
  }
}

/** Makes an answer on a socket without a server end the connection. */
export function endWith(response: ServerResponse, socket: Socket): void {
  response.shouldKeepAlive = false
  response.once('finish', () => socket.destroySoon())
  socket.on('drain', () => response.emit('drain'))
  socket.on('error', () => socket.destroy())
}

/** The head of a request as it was sent, without its offer, and without the tokens of Connection that belong to it. */
export function headWithoutOffer({ method, url, httpVersion, rawHeaders, headers }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (!OFFER_HEADERS.has(rawHeaders[at]?.toLowerCase() ?? ''))
      lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
  }
  const tokens = tokensOf(headers.connection ?? '').filter((token) => !OFFER_HEADERS.has(token.toLowerCase()))
  if (tokens.length > 0) lines.push(`Connection: ${tokens.join(', ')}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}
