import type { EventEmitter } from 'node:events'
import { type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { request as secureRequest } from 'node:https'
import { hostname } from 'node:os'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionLimits } from '../../config.js'
import { TrustedProxies } from '../http1/trusted-proxies.js'
import { retryWhileExhausted } from '../resource-exhaustion.js'
import { ThrottledLog } from '../throttled-log.js'
import { AppAgent } from './app-agent.js'
import { Certificates } from './certificates.js'
import { ConnectionLimiter, refusalAnswer } from './connection-limits.js'
import { errorPage, MARK, options, redirect } from './error-page.js'
import type { Upstream } from './exchange.js'
import { forward } from './forward.js'
import { isSecure } from './headers.js'
import { MAX_ROUTED_HEAD_BYTES } from '../http1/response-heads.js'
import { hostsOf, NOTHING } from './hosts.js'
import { InFlight } from './in-flight.js'
import { close, createHttp, createTls, type Handlers, listen, portOf } from './listeners.js'
import { isOnlyForProxies, normalize } from './request-target.js'
import { SelfProbes } from './self-probes.js'
import type { ProbeRequest, Router, RouterDependencies, Switch } from './router.js'
import { readRoutes } from './table.js'
import { RoundRobin } from './round-robin.js'
import { type Handshake, upgrade } from './upgrade.js'

export interface BuiltinRouterOptions {
  readonly host: string
  readonly port: number
  readonly baseDomain: string
  /** Port for TLS and the folder of its certificates; not set: HTTP only. */
  readonly tls?: { readonly dir: string; readonly port: number } | null
  /** Addresses and networks of proxies whose word about clients counts; not set: none. */
  readonly trustedProxies?: readonly string[]
  /** Not set: as many as come. */
  readonly connections?: ConnectionLimits
}

/** A lost wake-up is made up for after this; changed certificates are seen. */
const POLL_MS = 5_000

/**
 * The reverse proxy in the process: HTTP and WebSocket, streaming both ways, host by host as the routing table says.
 * Requests that are under way when the table changes end where they began. With TLS, hosts that have a certificate are
 * served over it alone: over HTTP they redirect.
 */
export class BuiltinRouter implements Router, AsyncDisposable {
  #hosts = NOTHING
  #reading: Promise<void> = Promise.resolve()
  readonly #server: Server
  readonly #tlsServer: Server | null = null
  readonly #certificates: Certificates | null = null
  readonly #agent = new AppAgent()
  readonly #inFlight = new InFlight()
  readonly #roundRobin = new RoundRobin()
  readonly #shortages: ThrottledLog
  readonly #selfProbes = new SelfProbes()
  readonly #proxies: TrustedProxies
  readonly #limiter: ConnectionLimiter
  readonly #sockets = new Set<Duplex>()
  #poll: NodeJS.Timeout | undefined
  #unsubscribe: () => void = () => undefined

  constructor(
    private readonly dependencies: RouterDependencies,
    private readonly options: BuiltinRouterOptions,
  ) {
    const { logger } = dependencies
    const handlers: Handlers = {
      request: (incoming, response) => this.#request(incoming, response),
      upgrade: (handshake) => this.#upgrade(handshake),
    }
    this.#shortages = new ThrottledLog(
      logger,
      'the router is short of resources: requests wait, or are answered 503',
    )
    const { trustedProxies = [], connections = { total: Infinity, perAddress: Infinity } } = options
    this.#proxies = new TrustedProxies(trustedProxies)
    this.#limiter = new ConnectionLimiter('router', { ...connections, proxies: this.#proxies }, logger)
    this.#server = createHttp(handlers)
    if (options.tls) {
      const certificates = new Certificates(options.tls.dir, logger)
      this.#certificates = certificates
      this.#tlsServer = createTls(handlers, (host) => certificates.find(host))
    }
    this.#limitConnections()
  }

  /** Listens, with the table that the database says. @throws when a port is taken or certificates cannot be read */
  async start(): Promise<void> {
    await this.#certificates?.refresh()
    await this.apply()
    await listen(this.#server, this.options.host, this.options.port)
    if (this.#tlsServer) await listen(this.#tlsServer, this.options.host, this.options.tls?.port ?? 0)
    const warn = (what: string) => (error: unknown) => this.dependencies.logger.warn(what, { error })
    const follow = () => void this.apply().catch(warn('could not read the routing table'))
    this.#unsubscribe = this.dependencies.wakeups.on('route', follow)
    this.#poll = setInterval(() => {
      follow()
      this.#certificates?.refresh().catch(warn('could not read certificates'))
    }, POLL_MS)
  }

  /** The port it listens on. */
  port(): number {
    return portOf(this.#server)
  }

  /** The port for TLS; 0 where that is off. */
  tlsPort(): number {
    return portOf(this.#tlsServer)
  }

  /** Whoever listens at the same port has taken its place. */
  get name(): string {
    return `builtin ${hostname()}:${this.port()}`
  }

  /** Reads run one after another: a slow one must not put an older table over a newer one. */
  apply(): Promise<void> {
    const reading = this.#reading.then(async () => {
      this.#hosts = hostsOf(await readRoutes(this.dependencies.database, this.options.baseDomain))
      this.#roundRobin.keepOnly(
        new Set([...this.#hosts.targets.values()].map(({ deploymentId }) => deploymentId)),
      )
    })
    this.#reading = reading.catch(() => undefined)
    return reading
  }

  /**
   * A real request over the port that everybody uses.
   *
   * @throws InfrastructureError OUT_OF_RESOURCES when this process lacked what it takes for 10 s
   */
  async probe({ host, path, timeoutMs }: ProbeRequest): Promise<string | null> {
    const found = await retryWhileExhausted(() =>
      this.#selfProbes.findFault(this.#ask(host, path), timeoutMs),
    )
    return found && `GET ${path} for host ${host} at the built-in router ${found}`
  }

  isRoutedTo(stageId: string, deploymentId: string): Promise<boolean> {
    return Promise.resolve(this.#hosts.current.get(stageId)?.deploymentId === deploymentId)
  }

  hasSwitched({ stageId, deploymentId, routeEpoch }: Switch): Promise<boolean> {
    const current = this.#hosts.current.get(stageId)
    return Promise.resolve(
      current !== undefined && current.deploymentId === deploymentId && current.epoch >= routeEpoch,
    )
  }

  /** Requests and open WebSockets that a deployment is answering now. */
  inFlight(deploymentId: string): number {
    return this.#inFlight.count(deploymentId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#poll)
    this.#unsubscribe()
    await this.#reading
    const closed = [this.#server, this.#tlsServer].flatMap((server) => (server ? close(server) : []))
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(closed)
    this.#agent.destroy()
  }

  #limitConnections(): void {
    const limiter = this.#limiter
    const isOwn = (socket: Socket) => this.#selfProbes.has(socket)
    const answer = (why: string) => refusalAnswer(why, [`${MARK}: busy`])
    limiter.guard(this.#server, { answer, isOwn })
    if (this.#tlsServer) limiter.guard(this.#tlsServer, { answer: null, isOwn })
  }

  /** Over TLS where HTTP would only redirect. Whose certificate it is does not matter: it asks itself. */
  #ask(host: string, path: string) {
    const { host: bound } = this.options
    const address = bound === '0.0.0.0' || bound === '::' ? '127.0.0.1' : bound
    const options = { maxHeaderSize: MAX_ROUTED_HEAD_BYTES, agent: false } as const
    const asked = { host: address, path, headers: { host }, ...options }
    if (!this.#certificates?.find(host)) return request({ ...asked, port: this.port() })
    return secureRequest({ ...asked, port: this.tlsPort(), servername: host, rejectUnauthorized: false })
  }

  #request(incoming: IncomingMessage, response: ServerResponse): void {
    const upstream = this.#upstreamOf(incoming, response, response)
    if (upstream) forward(incoming, response, upstream)
  }

  #upgrade(handshake: Handshake): void {
    const { incoming, response, socket } = handshake
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const upstream = this.#upstreamOf(incoming, response, socket)
    if (upstream) upgrade(handshake, upstream)
  }

  /** Null: it was answered here. It ends with `end`. */
  #upstreamOf(incoming: IncomingMessage, response: ServerResponse, end: EventEmitter): Upstream | null {
    const refusal = normalize(incoming) ?? (this.#limiter.whyRefused(incoming, end) === null ? null : 'busy')
    if (refusal !== null) errorPage(incoming, response, refusal)
    else if (isOnlyForProxies(incoming)) options(incoming, response)
    else return this.#route(incoming, response)
    return null
  }

  /** Null: it was answered here. */
  #route(incoming: IncomingMessage, response: ServerResponse): Upstream | null {
    const host = hostOf(incoming)
    const location = this.#redirect(host, incoming)
    const target = this.#hosts.targets.get(host)
    if (location === null && target) {
      const targetNow = () => this.#hosts.targets.get(host)
      const shared = {
        agent: this.#agent,
        inFlight: this.#inFlight,
        roundRobin: this.#roundRobin,
        shortages: this.#shortages,
        proxies: this.#proxies,
      }
      return { target, targetNow, ...shared }
    }
    if (location === null) errorPage(incoming, response, this.#hosts.pages.get(host) ?? 404)
    else redirect(incoming, response, location)
    return null
  }

  /** Where a request for the host is sent instead; null: it is answered here. */
  #redirect(host: string, incoming: IncomingMessage): string | null {
    const secure = isSecure(incoming, this.#proxies)
    if (!this.#hosts.targets.has(host)) {
      const to = this.#hosts.redirects.get(host)
      return to === undefined ? null : this.#locationAt(to, incoming, secure || this.#isServedSecurely(to))
    }
    return secure || !this.#isServedSecurely(host) ? null : this.#locationAt(host, incoming, true)
  }

  #isServedSecurely(host: string): boolean {
    return Boolean(this.#certificates?.find(host))
  }

  /** The same path at another host, on the port that was asked, or on that of TLS. */
  #locationAt(host: string, incoming: IncomingMessage, secure: boolean): string {
    const asked = /:\d+$/.exec(incoming.headers.host ?? '')?.[0] ?? ''
    const ofTls = this.tlsPort() === 443 ? '' : `:${this.tlsPort()}`
    const port = secure && !isSecure(incoming, this.#proxies) ? ofTls : asked
    return `${secure ? 'https' : 'http'}://${host}${port}${incoming.url ?? '/'}`
  }
}

/** Without port and final dot, in lower case. */
function hostOf(incoming: IncomingMessage): string {
  return (incoming.headers.host ?? '').toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
}
