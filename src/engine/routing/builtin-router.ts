import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { DataSource } from 'typeorm'
import type { Logger } from '../../logger.js'
import type { Wakeups } from '../wakeups.js'
import { errorPage } from './error-page.js'
import { answerHeaders, forwardedHeaders, upgradeHead } from './headers.js'
import { readRoutingTable, type RoutingTable, type Target } from './table.js'

export interface BuiltinRouterOptions {
  readonly host: string
  readonly port: number
  readonly baseDomain: string
}

/** A lost wake-up is made up for after this. */
const POLL_MS = 5_000
const CONNECT_MS = 5_000
const HEADERS_MS = 60_000

/**
 * The reverse proxy in the process: HTTP and WebSocket, streaming both ways, host by host as the routing table says.
 * Requests that are under way when the table changes end where they began.
 */
export class BuiltinRouter implements AsyncDisposable {
  #table: RoutingTable = new Map()
  #server: Server
  #agent = new Agent({ keepAlive: true, maxSockets: Infinity, keepAliveMsecs: 1_000, timeout: 0 })
  #turn = 0
  #inFlight = new Map<string, number>()
  #sockets = new Set<Duplex>()
  #poll: NodeJS.Timeout | undefined
  #unsubscribe: () => void = () => undefined

  constructor(
    private readonly database: DataSource,
    private readonly wakeups: Wakeups,
    private readonly logger: Logger,
    private readonly options: BuiltinRouterOptions,
  ) {
    this.#server = createServer({ headersTimeout: HEADERS_MS, requestTimeout: 0 })
    this.#server.on('request', (incoming, response) => this.#forward(incoming, response))
    this.#server.on('upgrade', (incoming, socket, head) => this.#upgrade(incoming, socket, head))
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Listens, with the table that the database says. @throws when the port is taken */
  async start(): Promise<void> {
    await this.refresh()
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.options.port, this.options.host, resolve)
    })
    const refresh = () =>
      void this.refresh().catch((error: unknown) => this.logger.warn('routing table', { error }))
    this.#unsubscribe = this.wakeups.on('route', refresh)
    this.#poll = setInterval(refresh, POLL_MS)
  }

  /** The port it listens on. */
  port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  /** Reads the table again. When it resolves, new requests go where the database says. */
  async refresh(): Promise<void> {
    this.#table = await readRoutingTable(this.database, this.options.baseDomain)
  }

  /** Requests and open WebSockets that a deployment is answering now. */
  inFlight(deploymentId: string): number {
    return this.#inFlight.get(deploymentId) ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#poll)
    this.#unsubscribe()
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    for (const socket of this.#sockets) socket.destroy()
    const force = setTimeout(() => this.#server.closeAllConnections(), 2_000)
    await closed
    clearTimeout(force)
    this.#agent.destroy()
  }

  #targetOf(incoming: IncomingMessage): Target | undefined {
    const host = (incoming.headers.host ?? '').toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
    return this.#table.get(host)
  }

  /** Replicas take turns. */
  #addressOf({ addresses }: Target): string {
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER
    return addresses[this.#turn % addresses.length] ?? ''
  }

  #forward(incoming: IncomingMessage, response: ServerResponse): void {
    const target = this.#targetOf(incoming)
    if (!target) return errorPage(response, 404, incoming.headers.host ?? '')
    const leave = this.#enter(target)
    response.once('close', leave)
    const outgoing = request({
      agent: this.#agent,
      host: this.#addressOf(target),
      port: target.port,
      method: incoming.method,
      path: incoming.url,
      headers: forwardedHeaders(incoming),
      setHost: false,
    })
    outgoing.once('socket', (socket) => boundConnect(socket, outgoing))
    outgoing.once('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answerHeaders(answer.rawHeaders))
      answer.pipe(response)
      answer.once('error', () => response.destroy())
    })
    outgoing.once('error', () => {
      if (response.headersSent) response.destroy()
      else errorPage(response, 502, incoming.headers.host ?? '')
    })
    response.once('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const target = this.#targetOf(incoming)
    if (!target) return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n')
    const leave = this.#enter(target)
    const upstream = connect({ host: this.#addressOf(target), port: target.port })
    upstream.setTimeout(CONNECT_MS, () => upstream.destroy())
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      leave()
      upstream.destroy()
    })
    upstream.once('connect', () => {
      upstream.setTimeout(0)
      upstream.write(upgradeHead(incoming))
      upstream.write(head)
      socket.pipe(upstream).pipe(socket)
    })
    upstream.once('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n'))
    upstream.once('close', () => socket.destroy())
  }

  #enter(target: Target): () => void {
    const id = target.deploymentId
    this.#inFlight.set(id, this.inFlight(id) + 1)
    let inside = true
    return () => {
      if (!inside) return
      inside = false
      const left = this.inFlight(id) - 1
      if (left > 0) this.#inFlight.set(id, left)
      else this.#inFlight.delete(id)
    }
  }
}

/** A container that was removed does not refuse connections, it is silent. */
function boundConnect(socket: Socket, outgoing: { destroy(error: Error): unknown }): void {
  if (!socket.connecting) return
  const timer = setTimeout(() => outgoing.destroy(new Error('connect time-out')), CONNECT_MS)
  socket.once('connect', () => clearTimeout(timer))
  socket.once('close', () => clearTimeout(timer))
}
