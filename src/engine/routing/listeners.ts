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
const METHOD_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \r\n]+ HTTP\/1\.[01]\r$/m
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
  const answering = new WeakMap<Duplex, ServerResponse>()
  const request = (incoming: IncomingMessage, response: ServerResponse) => {
    answering.set(incoming.socket, response)
    handlers.request(incoming, response)
  }
  server.on('request', request)
  // Without a listener Node.js would answer 100 itself, and the body would be sent to whoever does not want it.
  server.on('checkContinue', request)
  // A tunnel is none of an app's business.
  server.on('connect', (_incoming, socket) =>
    refuseWith(socket, '405 Method Not Allowed\r\nAllow: GET, HEAD, POST'),
  )
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
  return server.on('clientError', (error, socket) => refuse(error, socket, answering.get(socket)))
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

/** What cannot be read any further ends the connection: with an answer, where none is half-way out. */
function refuse(error: ParseError, socket: Duplex, answering: ServerResponse | undefined): void {
  const isAnswered = !answering || answering.writableFinished
  if (error.code === 'ECONNRESET' || !socket.writable || !(isAnswered || !answering.headersSent))
    return void socket.destroy()
  refuseWith(socket, statusFor(error))
}

function refuseWith(socket: Duplex, status: string): void {
  socket.on('error', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function statusFor({ code, rawPacket }: ParseError): string {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large'
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return '413 Content Too Large'
  const text = rawPacket?.subarray(0, MAX_HEADER_BYTES).toString('latin1') ?? ''
  if (/^PRI \* HTTP\/2/m.test(text)) return '505 HTTP Version Not Supported'
  // A method that Node.js cannot read; what has no such line is no HTTP.
  if (code === 'HPE_INVALID_METHOD' && METHOD_LINE.test(text)) return '501 Not Implemented'
  return '400 Bad Request'
}

interface ParseError extends NodeJS.ErrnoException {
  /** What was being read. */
  readonly rawPacket?: Buffer
}
