import type { IncomingMessage, ServerResponse } from 'node:http'
import { errorPage } from './error-page.js'
import { Exchange, type Way } from './exchange.js'
import { answerHeaders, forwardedHeaders } from './headers.js'

/** May be sent again: they change nothing (RFC 9110, 9.2.1), and have no body that would be gone. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Carries a request to the target and its answer back, both as they come. One that could not be connected is sent
 * again, to the next replica; so is a safe request without a body that got no answer, as when an idle connection had
 * been closed by the app.
 */
export function forward(incoming: IncomingMessage, response: ServerResponse, way: Way): void {
  const withBody = hasBody(incoming)
  const plan = {
    headers: forwardedHeaders(incoming),
    hasBody: withBody,
    repeatable: !withBody && SAFE.has(incoming.method ?? ''),
  }
  const fail = () => errorPage(response, 502, incoming.headers.host ?? '')
  const exchange = new Exchange(incoming, way, plan, {
    answered(answer) {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answerHeaders(answer.rawHeaders))
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    },
    upgraded(_answer, socket) {
      socket.destroy() // nobody asked it to
      fail()
    },
    failed: fail,
  })
  response.once('close', () => exchange.close())
  exchange.send()
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
