import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { Duplex } from 'node:stream'
import type { DataSource } from 'typeorm'
import type { Logger } from '../../logger.js'
import type { Wakeups } from '../wakeups.js'
import { errorPage, isErrorPage } from './error-page.js'
import { forward } from './forward.js'
import { InFlight } from './in-flight.js'
import type { Router } from './router.js'
import { readRoutes, type StageRoutes, type Target } from './table.js'
import { upgrade } from './upgrade.js'

export interface BuiltinRouterOptions {
  readonly host: string
  readonly port: number
  readonly baseDomain: string
}

/** A lost wake-up is made up for after this. */
const POLL_MS = 5_000
/** A client has this long for the head of its request. */
const HEADERS_MS = 60_000
/** More is answered with 431. */
const MAX_HEADER_BYTES = 32 * 1024
const STOP_MS = 2_000

interface Hosts {
  readonly targets: ReadonlyMap<string, Target>
  readonly redirects: ReadonlyMap<string, string>
  readonly current: ReadonlyMap<string, { readonly deploymentId: string | null; readonly epoch: number }>
}

const NOTHING: Hosts = { targets: new Map(), redirects: new Map(), current: new Map() }

/**
 * The reverse proxy in the process: HTTP and WebSocket, streaming both ways, host by host as the routing table says.
 * Requests that are under way when the table changes end where they began.
 */
export class BuiltinRouter implements Router, AsyncDisposable {
  #hosts = NOTHING
  #reading: Promise<void> = Promise.resolve()
  readonly #server: Server
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Infinity, keepAliveMsecs: 1_000, timeout: 0 })
  readonly #inFlight = new InFlight()
  readonly #sockets = new Set<Duplex>()
  #poll: NodeJS.Timeout | undefined
  #unsubscribe: () => void = () => undefined

  constructor(
    private readonly database: DataSource,
    private readonly wakeups: Wakeups,
    private readonly logger: Logger,
    private readonly options: BuiltinRouterOptions,
  ) {
    const limits = { headersTimeout: HEADERS_MS, requestTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES }
    this.#server = createServer(limits)
    this.#server.on('request', (incoming, response) => this.#request(incoming, response))
    this.#server.on('upgrade', (incoming, socket, head) => this.#upgrade(incoming, socket, head))
    this.#server.on('clientError', (error, socket) => refuse(error, socket))
  }

  /** Listens, with the table that the database says. @throws when the port is taken */
  async start(): Promise<void> {
    await this.apply()
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.options.port, this.options.host, resolve)
    })
    const follow = () =>
      void this.apply().catch((error: unknown) => this.logger.warn('routing table', { error }))
    this.#unsubscribe = this.wakeups.on('route', follow)
    this.#poll = setInterval(follow, POLL_MS)
  }

  /** The port it listens on. */
  port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  /** Reads run one after another: a slow one must not put an older table over a newer one. */
  apply(): Promise<void> {
    const reading = this.#reading.then(async () => {
      this.#hosts = hostsOf(await readRoutes(this.database, this.options.baseDomain))
    })
    this.#reading = reading.catch(() => undefined)
    return reading
  }

  /** A real request over the port that everybody uses. */
  reaches(host: string, path: string, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const asked = request({
        host: this.#ownAddress(),
        port: this.port(),
        path,
        headers: { host },
        agent: false,
      })
      const timer = setTimeout(() => finish(true), timeoutMs) // the app is slow, but it was reached
      const finish = (answer: boolean) => {
        clearTimeout(timer)
        resolve(answer)
        asked.destroy()
      }
      asked.once('response', ({ headers }) => finish(!isErrorPage(headers)))
      asked.once('error', () => finish(false))
      asked.end()
    })
  }

  confirms(stageId: string, deploymentId: string): Promise<boolean> {
    return Promise.resolve(this.#hosts.current.get(stageId)?.deploymentId === deploymentId)
  }

  /** Requests and open WebSockets that a deployment is answering now. */
  inFlight(deploymentId: string): number {
    return this.#inFlight.count(deploymentId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#poll)
    this.#unsubscribe()
    await this.#reading
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    for (const socket of this.#sockets) socket.destroy()
    const force = setTimeout(() => this.#server.closeAllConnections(), STOP_MS)
    await closed
    clearTimeout(force)
    this.#agent.destroy()
  }

  #ownAddress(): string {
    return this.options.host === '0.0.0.0' || this.options.host === '::' ? '127.0.0.1' : this.options.host
  }

  #request(incoming: IncomingMessage, response: ServerResponse): void {
    const host = hostOf(incoming)
    const target = this.#hosts.targets.get(host)
    const redirect = this.#hosts.redirects.get(host)
    if (target) forward(incoming, response, { target, agent: this.#agent, inFlight: this.#inFlight })
    else if (redirect) response.writeHead(308, { location: locationAt(redirect, incoming) }).end()
    else errorPage(response, 404, incoming.headers.host ?? '')
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const target = this.#hosts.targets.get(hostOf(incoming))
    if (!target) return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n')
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    upgrade(incoming, socket, head, { target, inFlight: this.#inFlight })
  }
}

function hostsOf(stages: readonly StageRoutes[]): Hosts {
  const targets = new Map<string, Target>()
  const redirects = new Map<string, string>()
  const current = new Map<string, { deploymentId: string | null; epoch: number }>()
  for (const stage of stages) {
    for (const { host, target } of stage.deployments) targets.set(host, target)
    if (stage.current) for (const host of stage.hosts) targets.set(host, stage.current)
    for (const [host, to] of stage.redirects) redirects.set(host, to)
    current.set(stage.stageId, { deploymentId: stage.current?.deploymentId ?? null, epoch: stage.routeEpoch })
  }
  return { targets, redirects, current }
}

/** Without port and final dot, in lower case. */
function hostOf(incoming: IncomingMessage): string {
  return (incoming.headers.host ?? '').toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
}

/** The same path at another host, on the port that was asked. */
function locationAt(host: string, incoming: IncomingMessage): string {
  const port = /:\d+$/.exec(incoming.headers.host ?? '')?.[0] ?? ''
  return `http://${host}${port}${incoming.url ?? '/'}`
}

function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const status =
    error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
}
