import {
  type ClientRequest,
  type IncomingMessage,
  type InformationEvent,
  type OutgoingHttpHeaders,
  request,
} from 'node:http'
import type { Socket } from 'node:net'
import { MAX_RESPONSE_HEAD_BYTES } from '../http1/response-heads.js'
import type { TrustedProxies } from '../http1/trusted-proxies.js'
import { isResourceExhaustion } from '../resource-exhaustion.js'
import type { ThrottledLog } from '../throttled-log.js'
import type { AppAgent } from './app-agent.js'
import { AppSocket } from './app-socket.js'
import type { Page } from './error-page.js'
import type { InFlight } from './in-flight.js'
import type { Target } from './table.js'
import type { RoundRobin } from './round-robin.js'
import { passTrailers } from './trailers.js'

/** A container beside us accepts at once or not at all. */
const CONNECT_MS = 2_000
/** How often a request that was not answered is sent again, beside once for each replica. */
const MORE_TRIES = 2
/** For what this process lacks a request waits so often and so long each time: 2 s in all. */
const WAITS = 20
const WAIT_MS = 100

/** Where requests for a host go, and what they share. */
export interface Upstream {
  readonly target: Target
  /** Where the host leads by now: a container made again has another address, and its old one may be another's. */
  readonly targetNow: () => Target | undefined
  readonly agent: AppAgent
  readonly inFlight: InFlight
  readonly roundRobin: RoundRobin
  /** Whose word about clients counts. */
  readonly proxies: TrustedProxies
  /** Logs what this process lacks. */
  readonly shortages: ThrottledLog
}

/** A request, and how it is sent. */
export interface Forwarding {
  readonly incoming: IncomingMessage
  readonly headers: OutgoingHttpHeaders
  readonly hasBody: boolean
  /** Sent again although an app may have got it. */
  readonly repeatable: boolean
}

/** What becomes of it: one of these, once, but for interim answers. */
export interface Outcome {
  answered(answer: IncomingMessage): void
  /** An interim answer (1xx); any number of them comes first. */
  interim(information: InformationEvent): void
  /** The app answered 101: what follows is another protocol. */
  upgraded(answer: IncomingMessage, socket: Socket, head: Buffer): void
  /** 400: it cannot be sent. 502: nobody took it, or answered it. busy: this process could not ask. */
  failed(page: Page): void
}

/**
 * A request on its way to an app. Where the connection was refused, and, if it may be repeated, where it broke before
 * an answer, it is sent again: to a replica that was not tried yet, of the deployment that the host leads to by then. An
 * idle connection that breaks says nothing about the app: the request goes to the same replica on a fresh one, because
 * the other idle ones are as old. It counts as under way at the deployment that it was sent to last, until it is closed.
 */
export class Exchange {
  #target: Target
  #leave: () => void
  #outgoing: ClientRequest | null = null
  #host = ''
  /** On fresh connections. */
  #tries = 0
  #waits = 0
  #mayUseIdle: boolean
  #isOver = false
  readonly #tried = new Set<string>()

  constructor(
    private readonly forwarding: Forwarding,
    private readonly upstream: Upstream,
    private readonly outcome: Outcome,
  ) {
    this.#target = upstream.target
    this.#leave = upstream.inFlight.enter(upstream.target.deploymentId)
    // One may be closed by the app in the moment it is used: only what may be sent again uses one.
    this.#mayUseIdle = forwarding.repeatable && !forwarding.hasBody
  }

  /** A body is waited for first: a connection that nothing is sent on is an idle one, which apps may close. */
  send(): void {
    // A client that asks whether to send a body is answered by the app, which has to see the head first.
    if (!this.forwarding.hasBody || this.forwarding.headers.expect !== undefined) return this.#send()
    this.forwarding.incoming.once('readable', () => {
      if (this.#isOver) return
      this.#follow(this.upstream.targetNow() ?? this.#target)
      this.#send()
    })
  }

  /** Nothing is expected any more: what is not over yet is broken off. */
  close(): void {
    this.#isOver = true
    this.#leave()
    this.#outgoing?.destroy()
  }

  #send(): void {
    const outgoing = this.#start()
    if (!outgoing) return this.#end(() => this.outcome.failed(400))
    this.#outgoing = outgoing
    let isConnected = false
    outgoing.once('socket', (socket) =>
      whenConnected(socket, outgoing, () => {
        if (this.#hasMoved(outgoing))
          return void outgoing.destroy(new Error('the host leads elsewhere by now'))
        isConnected = true
        if (this.forwarding.hasBody) sendBody(this.forwarding.incoming, outgoing)
      }),
    )
    outgoing.on('information', (information) => {
      if (!this.#isOver && outgoing === this.#outgoing) this.outcome.interim(information)
    })
    outgoing.once('response', (answer) => this.#answered(answer, outgoing))
    outgoing.once('upgrade', (answer, socket, head) =>
      this.#end(() => this.outcome.upgraded(answer, socket, head)),
    )
    // Of an answer that has begun its own error says that it broke off.
    outgoing.on('error', (error) => this.#fail(outgoing, isConnected, error))
    if (!this.forwarding.hasBody) outgoing.end()
  }

  /**
   * Asked before anything is sent. While a container that has ended is silent, the kernel asks once a second, and whoever
   * has got its address by then takes the connection. One that was idle ends with its container.
   */
  #hasMoved({ reusedSocket }: ClientRequest): boolean {
    const target = this.upstream.targetNow()
    const isSame = target?.deploymentId === this.#target.deploymentId
    return !reusedSocket && !(isSame && target?.addresses.includes(this.#host))
  }

  #answered(answer: IncomingMessage, outgoing: ClientRequest): void {
    // "You have sent nothing", said before this was seen: it may be sent on a new connection (RFC 9110, 15.5.9).
    const isForNobody = answer.statusCode === 408 && outgoing.reusedSocket
    if (!isForNobody) return this.#end(() => this.outcome.answered(answer))
    answer.on('error', () => undefined).destroy()
    this.#fail(outgoing, true)
  }

  #end(finish: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    finish()
  }

  #fail(outgoing: ClientRequest, isConnected: boolean, error?: Error): void {
    if (this.#isOver || outgoing !== this.#outgoing) return
    if (!isConnected && isResourceExhaustion(error)) return this.#wait(error)
    const target = this.upstream.targetNow()
    if (!target || (isConnected && !this.forwarding.repeatable))
      return this.#end(() => this.outcome.failed(502))
    if (outgoing.reusedSocket) {
      this.#mayUseIdle = false
      this.#follow(target)
      return this.#send()
    }
    this.#tries += 1
    if (this.#tries >= this.#target.addresses.length + MORE_TRIES)
      return this.#end(() => this.outcome.failed(502))
    this.#tried.add(this.#host)
    this.#host = ''
    this.#follow(target)
    this.#send()
  }

  /** No app has refused anything: connections that are idle are given up for it. */
  #wait(error: Error | undefined): void {
    this.upstream.shortages.warn({ error: error?.message })
    this.upstream.agent.closeIdle()
    this.#waits += 1
    if (this.#waits > WAITS) return this.#end(() => this.outcome.failed('busy'))
    setTimeout(() => {
      if (this.#isOver) return
      this.#follow(this.upstream.targetNow() ?? this.#target)
      this.#send()
    }, WAIT_MS)
  }

  /** The host may lead elsewhere by now; whoever drains that deployment has to wait for this request. */
  #follow(target: Target): void {
    if (target.deploymentId !== this.#target.deploymentId) {
      this.#leave()
      this.#leave = this.upstream.inFlight.enter(target.deploymentId)
      this.#tried.clear()
    }
    this.#target = target
    if (target.addresses.every((address) => this.#tried.has(address))) this.#tried.clear()
    if (!target.addresses.includes(this.#host)) this.#host = ''
  }

  /** Null: Node.js has a stricter idea of what may be sent than of what may be received. */
  #start(): ClientRequest | null {
    this.#host ||= this.upstream.roundRobin.take(this.#target, this.#tried)
    try {
      return request({
        ...this.#connection(),
        method: this.forwarding.incoming.method,
        path: this.forwarding.incoming.url,
        headers: this.#headers(),
        setHost: false,
        maxHeaderSize: MAX_RESPONSE_HEAD_BYTES,
      })
    } catch {
      return null
    }
  }

  /** Node.js says whether the connection is kept, unless there is more to say of it. */
  #headers(): OutgoingHttpHeaders {
    const { headers } = this.forwarding
    if (headers.connection !== 'TE') return headers
    return { ...headers, connection: this.#mayUseIdle ? 'keep-alive, TE' : 'close, TE' }
  }

  #connection() {
    const { port } = this.#target
    const host = this.#host
    if (this.forwarding.hasBody) return { createConnection: () => new AppSocket().connect(port, host) }
    return { host, port, agent: this.#mayUseIdle ? this.upstream.agent : false }
  }
}

function sendBody(incoming: IncomingMessage, outgoing: ClientRequest): void {
  incoming.once('end', () => passTrailers(incoming, outgoing))
  incoming.pipe(outgoing)
}

/** A container that was removed does not refuse connections, it is silent. */
function whenConnected(socket: Socket, outgoing: ClientRequest, then: () => void): void {
  if (socket.destroyed) return // its error is about to be said
  if (!socket.connecting) return then()
  const timer = setTimeout(() => outgoing.destroy(new Error('connect time-out')), CONNECT_MS)
  socket.once('connect', () => {
    clearTimeout(timer)
    then()
  })
  socket.once('close', () => clearTimeout(timer))
}
