import { type Agent, type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { errorPage } from './error-page.js'
import { answerHeaders, forwardedHeaders } from './headers.js'
import type { InFlight } from './in-flight.js'
import { nextAddress } from './turns.js'
import type { Target } from './table.js'

/** A container beside us accepts at once or not at all. */
const CONNECT_MS = 2_000
/** How often a request that was not answered is sent in all. */
const MAX_TRIES = 3
/** May be sent again: they change nothing (RFC 9110, 9.2.1), and have no body that would be gone. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

interface Way {
  readonly target: Target
  /** Where the host leads by now: a container that was made again has another address, and its old one may be another's. */
  readonly targetNow: () => Target | undefined
  readonly agent: Agent
  readonly inFlight: InFlight
}

/**
 * Carries a request to the target and its answer back, both as they come. A safe request without a body that got no
 * answer (the connection was refused, or an idle one had been closed by the app) is sent again, to the next replica.
 */
export function forward(incoming: IncomingMessage, response: ServerResponse, way: Way): void {
  const leave = way.inFlight.enter(way.target.deploymentId)
  response.once('close', leave)
  const repeatable = SAFE.has(incoming.method ?? '') && !hasBody(incoming)
  send(incoming, response, way, repeatable, 1)
}

function send(
  incoming: IncomingMessage,
  response: ServerResponse,
  way: Way,
  repeatable: boolean,
  attempt: number,
): void {
  const outgoing = start(incoming, way, repeatable)
  outgoing.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answerHeaders(answer.rawHeaders))
    answer.pipe(response)
    answer.once('error', () => response.destroy())
  })
  outgoing.once('error', () => {
    const target = way.targetNow()
    if (response.headersSent || response.destroyed) response.destroy()
    else if (target && repeatable && attempt < MAX_TRIES) {
      send(incoming, response, { ...way, target }, repeatable, attempt + 1)
    } else errorPage(response, 502, incoming.headers.host ?? '')
  })
  response.once('close', () => outgoing.destroy())
  if (repeatable) outgoing.end()
  else incoming.pipe(outgoing)
}

function start(incoming: IncomingMessage, { target, agent }: Way, repeatable: boolean): ClientRequest {
  const outgoing = request({
    // An idle connection may be closed by the app in the moment it is used: only what may be sent again uses one.
    agent: repeatable ? agent : false,
    host: nextAddress(target),
    port: target.port,
    method: incoming.method,
    path: incoming.url,
    headers: forwardedHeaders(incoming),
    setHost: false,
  })
  outgoing.once('socket', (socket) => boundConnect(socket, outgoing))
  return outgoing
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** A container that was removed does not refuse connections, it is silent. */
function boundConnect(socket: Socket, outgoing: ClientRequest): void {
  if (!socket.connecting) return
  const timer = setTimeout(() => outgoing.destroy(new Error('connect time-out')), CONNECT_MS)
  socket.once('connect', () => clearTimeout(timer))
  socket.once('close', () => clearTimeout(timer))
}
