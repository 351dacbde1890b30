import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
} from 'node:http'
import type { Socket } from 'node:net'
import { AppSocket } from './app-socket.js'
import type { InFlight } from './in-flight.js'
import type { Target } from './table.js'
import type { Turns } from './turns.js'

/** A container beside us accepts at once or not at all. */
const CONNECT_MS = 2_000
/** How often a request that was not answered is sent again, beside once for each replica. */
const MORE_TRIES = 2

/** Where requests for a host go, and what they share. */
export interface Way {
  readonly target: Target
  /** Where the host leads by now: a container made again has another address, and its old one may be another's. */
  readonly targetNow: () => Target | undefined
  readonly agent: Agent
  readonly inFlight: InFlight
  readonly turns: Turns
}

/** How a request is sent. */
export interface Plan {
  readonly headers: OutgoingHttpHeaders
  readonly hasBody: boolean
  /** Sent again although an app may have got it. */
  readonly repeatable: boolean
}

/** What becomes of it: one of these, once. */
export interface Outcome {
  answered(answer: IncomingMessage): void
  /** The app answered 101: what follows is another protocol. */
  upgraded(answer: IncomingMessage, socket: Socket, head: Buffer): void
  /** 400: it cannot be sent. 502: nobody took it, or answered it. */
  failed(status: 400 | 502): void
}

/**
 * A request on its way to an app. Where the connection was refused, and, if it may be repeated, where it broke before
 * an answer, it is sent again: to a replica that was not tried yet, of the deployment that the host leads to by then.
 * It counts as under way at the deployment that it was sent to last, until it is closed.
 */
export class Exchange {
  #target: Target
  #leave: () => void
  #outgoing: ClientRequest | null = null
  #host = ''
  #tries = 0
  #isOver = false
  readonly #tried = new Set<string>()

  constructor(
    private readonly incoming: IncomingMessage,
    private readonly way: Way,
    private readonly plan: Plan,
    private readonly outcome: Outcome,
  ) {
    this.#target = way.target
    this.#leave = way.inFlight.enter(way.target.deploymentId)
  }

  send(): void {
    const outgoing = this.#start()
    if (!outgoing) return this.#end(() => this.outcome.failed(400))
    this.#outgoing = outgoing
    let isConnected = false
    outgoing.once('socket', (socket) =>
      whenConnected(socket, outgoing, () => {
        isConnected = true
        if (this.plan.hasBody) this.incoming.pipe(outgoing)
      }),
    )
    outgoing.once('response', (answer) => this.#end(() => this.outcome.answered(answer)))
    outgoing.once('upgrade', (answer, socket, head) =>
      this.#end(() => this.outcome.upgraded(answer, socket, head)),
    )
    // Of an answer that has begun its own error says that it broke off.
    outgoing.on('error', () => this.#fail(isConnected, outgoing.reusedSocket))
    if (!this.plan.hasBody) outgoing.end()
  }

  /** Nothing is expected any more: what is not over yet is broken off. */
  close(): void {
    this.#isOver = true
    this.#leave()
    this.#outgoing?.destroy()
  }

  #end(tell: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    tell()
  }

  #fail(isConnected: boolean, wasIdle: boolean): void {
    if (this.#isOver) return
    const isLast = this.#tries >= this.#target.addresses.length + MORE_TRIES
    const target = this.way.targetNow()
    if (!target || isLast || (isConnected && !this.plan.repeatable))
      return this.#end(() => this.outcome.failed(502))
    // An idle connection that was closed says nothing about a new one.
    if (!wasIdle) this.#tried.add(this.#host)
    this.#follow(target)
    this.send()
  }

  /** The host may lead elsewhere by now; whoever drains that deployment has to wait for this request. */
  #follow(target: Target): void {
    if (target.deploymentId !== this.#target.deploymentId) {
      this.#leave()
      this.#leave = this.way.inFlight.enter(target.deploymentId)
      this.#tried.clear()
    }
    this.#target = target
    if (target.addresses.every((address) => this.#tried.has(address))) this.#tried.clear()
  }

  /** Null: Node.js has a stricter idea of what may be sent than of what may be received. */
  #start(): ClientRequest | null {
    this.#host = this.way.turns.take(this.#target, this.#tried)
    this.#tries += 1
    try {
      return request({
        ...this.#connection(),
        method: this.incoming.method,
        path: this.incoming.url,
        headers: this.plan.headers,
        setHost: false,
      })
    } catch {
      return null
    }
  }

  #connection() {
    const { port } = this.#target
    const host = this.#host
    if (this.plan.hasBody) return { createConnection: () => new AppSocket().connect(port, host) }
    // An idle connection may be closed by the app in the moment it is used: only what may be sent again uses one.
    return { host, port, agent: this.plan.repeatable ? this.way.agent : false }
  }
}

/** A container that was removed does not refuse connections, it is silent. */
function whenConnected(socket: Socket, outgoing: ClientRequest, then: () => void): void {
  if (!socket.connecting) return then()
  const timer = setTimeout(() => outgoing.destroy(new Error('connect time-out')), CONNECT_MS)
  socket.once('connect', () => {
    clearTimeout(timer)
    then()
  })
  socket.once('close', () => clearTimeout(timer))
}
