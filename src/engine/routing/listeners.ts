import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SecureContext } from 'node:tls'
import { answerOn, asksForWebSocket, endWith, headWithoutOffer } from '../http1/upgrade-offers.js'
import type { Handshake } from './upgrade.js'

/** A client has this long for the head of its request. */
const HEADERS_MS = 60_000
/**
 * An idle connection stays open this long, as at nginx: a client that sends on one in the moment in which it is closed
 * sees a reset. Node.js' own 5 s are shorter than what clients and load balancers keep theirs for.
 */
const KEEP_ALIVE_MS = 75_000
/** More is answered with 431. */
const MAX_HEADER_BYTES = 32 * 1024
const STOP_MS = 2_000
const OPTIONS = {
  headersTimeout: HEADERS_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  requestTimeout: 0,
  maxHeaderSize: MAX_HEADER_BYTES,
  /** Of Node.js 24.9; an older one knows no such option, and comes to us with every offer. */
  shouldUpgradeCallback: asksForWebSocket,
}

/** What a port leads to. */
export interface Handlers {
  request(incoming: IncomingMessage, response: ServerResponse): void
  /** A client asks for a WebSocket. */
  upgrade(handshake: Handshake): void
}

export function createHttp(handlers: Handlers): Server {
  return handled(createServer(OPTIONS), handlers, 'connection')
}

/** Chooses the certificate by the name that the client asks for; without one for it there is no connection. */
export function createTls(handlers: Handlers, find: (host: string) => SecureContext | null): Server {
  const server = createTlsServer({
    ...OPTIONS,
    SNICallback: (host, answer) => {
      const context = find(host.toLowerCase())
      if (context) answer(null, context)
      else answer(new Error(`no certificate for ${host}`))
    },
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return handled(server, handlers, 'secureConnection')
}

function handled(server: Server, handlers: Handlers, begin: 'connection' | 'secureConnection'): Server {
  server.maxHeadersCount = 0 // their size is bounded; Node.js would hide those after the 2,000th, a Content-Length too
  server.on('request', (incoming, response) => handlers.request(incoming, response))
  server.on('upgrade', (incoming, duplex, head) => {
    const socket = duplex as Socket
    const response = answerOn(socket, incoming)
    if (!response) return void socket.destroy()
    if (asksForWebSocket(incoming)) {
      endWith(response, socket)
      return handlers.upgrade({ incoming, response, socket, head })
    }
    // Any other offer may be ignored: the connection begins anew with a request that makes none, so that whatever
    // follows, a body or further requests, is read as ever.
    response.detachSocket(socket)
    socket.unshift(Buffer.concat([headWithoutOffer(incoming), head]))
    server.emit(begin, socket)
  })
  return server.on('clientError', (error, socket) => refuse(error, socket))
}

/** @throws when the port is taken */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

export function portOf(server: Server | null): number {
  const address = server?.address()
  return typeof address === 'object' && address ? address.port : 0
}

/** Ends what is idle at once, and the rest after 2 s. */
export async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const force = setTimeout(() => server.closeAllConnections(), STOP_MS)
  await closed
  clearTimeout(force)
}

function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const status =
    error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
}
