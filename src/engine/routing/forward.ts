import type { IncomingMessage, ServerResponse } from 'node:http'
import { hasBody } from '../http1/request-heads.js'
import { errorPage } from './error-page.js'
import { Exchange, type Upstream } from './exchange.js'
import { forwardedHeaders } from './headers.js'
import { relayInterim } from './interim.js'
import { relay } from './relay.js'

/** May be sent again: they change nothing (RFC 9110, 9.2.1), and have no body that would be gone. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Carries a request to the target and its answer back, both as they come. One that could not be connected is sent
 * again, to the next replica; so is a safe request without a body that got no answer, as when an idle connection had
 * been closed by the app.
 */
export function forward(incoming: IncomingMessage, response: ServerResponse, upstream: Upstream): void {
  const withBody = hasBody(incoming)
  const forwarding = {
    incoming,
    headers: forwardedHeaders(incoming, upstream.proxies),
    hasBody: withBody,
    repeatable: !withBody && SAFE.has(incoming.method ?? ''),
  }
  const exchange = new Exchange(forwarding, upstream, {
    interim: (information) => relayInterim(information, response),
    answered: (answer) => relay(answer, incoming, response),
    upgraded(_answer, socket) {
      socket.destroy() // nobody asked it to
      errorPage(incoming, response, 502)
    },
    failed: (page) => errorPage(incoming, response, page),
  })
  response.once('close', () => exchange.close())
  exchange.send()
}
