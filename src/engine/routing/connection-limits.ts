import { readFileSync } from 'node:fs'
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'node:net'
import type { ConnectionLimits } from '../../config.js'
import type { Logger } from '../../logger.js'
import { NO_PROXIES, type TrustedProxies } from '../http1/trusted-proxies.js'
import { ThrottledLog } from '../throttled-log.js'

type ServerName = 'API' | 'router'

/** How a server refuses. */
export interface Refusal {
  /** The whole answer, for people and programs; null where none can be given, as before TLS has begun. */
  readonly answer: ((why: string) => string) | null
  /** Connections of this process's own are never refused. */
  readonly isOwn?: (socket: Socket) => boolean
}

/** Whoever is refused has this long to take the answer … */
const ANSWER_MS = 1_000
/** … and so many are answered at once: the others are cut. */
const MAX_ANSWERED = 64

/**
 * Keeps the open connections of one or more servers within limits: what is over them is answered 503 and closed, before a
 * byte of it is read. So strangers cannot take the descriptors that this process needs itself.
 */
export class ConnectionLimiter {
  readonly #open = new Map<string, number>()
  readonly #admitted = new Set<Socket>()
  readonly #refused = new Set<Socket>()
  /** Whose connections bring requests of many clients. */
  readonly #proxies: TrustedProxies
  readonly #refusals: ThrottledLog
  readonly #failures: ThrottledLog

  constructor(
    private readonly name: ServerName,
    private readonly limits: ConnectionLimits & { readonly proxies?: TrustedProxies },
    logger: Logger,
  ) {
    this.#proxies = limits.proxies ?? NO_PROXIES
    this.#refusals = new ThrottledLog(logger, `refusing connections to the ${name}`)
    this.#failures = new ThrottledLog(logger, `could not accept connections to the ${name}`)
  }

  /** Call it once the server has the listeners that serve it, and before it listens. */
  guard(server: Server, refusal: Refusal): void {
    const serving = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      if (!this.#admits(socket, refusal)) return
      for (const serve of serving) serve.call(server, socket)
    })
    // Without a listener, an accept that fails for want of descriptors or memory would end the process.
    server.on('error', (error) => server.listening && this.#failures.warn({ error: error.message }))
  }

  #admits(socket: Socket, { answer, isOwn }: Refusal): boolean {
    // One that begins anew after an offer to upgrade was counted.
    if (this.#admitted.has(socket) || isOwn?.(socket)) return true
    // A connection of a proxy brings requests of many clients, which are counted one by one.
    const network = this.#proxies.has(socket.remoteAddress) ? null : networkOf(socket.remoteAddress ?? '')
    const why = this.#whyNot(network) ?? this.#whyNoMore()
    if (why !== null) {
      this.#refuse(socket, answer?.(why) ?? null)
      return false
    }
    this.#admitted.add(socket)
    socket.once('close', () => this.#admitted.delete(socket))
    if (network !== null) this.#count(network, socket)
    return true
  }

  /**
   * Counts a request that a trusted proxy brings as a connection of its client, until `end` closes.
   *
   * @returns why it is refused; null: it is not, or its connection was counted already
   */
  whyRefused(incoming: IncomingMessage, end: EventEmitter): string | null {
    if (!this.#proxies.sent(incoming)) return null
    const client = this.#proxies.clientOf(incoming)
    if (this.#proxies.has(client)) return null
    const network = networkOf(client)
    const why = this.#whyNot(network)
    if (why === null) this.#count(network, end)
    return why
  }

  #count(network: string, end: EventEmitter): void {
    this.#open.set(network, (this.#open.get(network) ?? 0) + 1)
    end.once('close', () => {
      const left = (this.#open.get(network) ?? 1) - 1
      if (left > 0) this.#open.set(network, left)
      else this.#open.delete(network)
    })
  }

  #whyNot(network: string | null): string | null {
    const { perAddress } = this.limits
    if (network === null || (this.#open.get(network) ?? 0) < perAddress) return null
    return this.#said(`the ${this.name} accepts ${perAddress} connections per address`, network)
  }

  #whyNoMore(): string | null {
    const { total } = this.limits
    return this.#admitted.size < total ? null : this.#said(`the ${this.name} accepts ${total} connections`)
  }

  #said(why: string, address?: string): string {
    this.#refusals.warn({ why, address, open: this.#admitted.size })
    return why
  }

  #refuse(socket: Socket, answer: string | null): void {
    socket.on('error', () => socket.destroy())
    if (answer === null || this.#refused.size >= MAX_ANSWERED) return void socket.destroy()
    this.#refused.add(socket)
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      this.#refused.delete(socket)
    })
    // What the client has sent is read: to close before would reset the connection, and take the answer away.
    socket.resume().end(answer)
  }
}

/** The whole of an answer that a server gives on a raw connection, and closes it. */
export function refusalAnswer(why: string, headers: readonly string[] = []): string {
  const text = `Too many connections: ${why}. Try again shortly.\n`
  const lines = ['HTTP/1.1 503 Service Unavailable', 'Connection: close', 'Retry-After: 1', ...headers]
  lines.push('Content-Type: text/plain; charset=utf-8', `Content-Length: ${Buffer.byteLength(text)}`)
  return `${lines.join('\r\n')}\r\n\r\n${text}`
}

/** An IPv4 address as it is, an IPv6 address as its /64: whoever has one of that has all of it. */
export function networkOf(address: string): string {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (v4 !== undefined || !address.includes(':')) return v4 ?? address
  const [head = '', tail] = address.replace(/%.*/, '').split('::')
  const groups = (text: string) => text.split(':').filter(Boolean)
  const [first, last] = [groups(head), groups(tail ?? '')]
  const between = Array<string>(Math.max(8 - first.length - last.length, 0)).fill('0')
  return `${[...first, ...between, ...last].slice(0, 4).join(':')}::/64`
}

/**
 * A quarter of the descriptors that this process may have is for each server; half is left for apps, Docker, git and the
 * database. Limits that are higher are lowered to that, which the operator's log says.
 */
export function fitted(
  limits: ConnectionLimits,
  { name, openFiles = maxOpenFiles() }: { readonly name: ServerName; readonly openFiles?: number },
  logger: Logger,
): ConnectionLimits {
  const total = Math.min(limits.total, Math.floor(openFiles / 4))
  if (total < limits.total) {
    const message = `this process may open few files (ulimit -n), so the ${name} takes fewer connections than it is set to`
    logger.info(message, { openFiles, connections: total, set: limits.total })
  }
  return { total, perAddress: Math.min(limits.perAddress, total) }
}

/** How many files and connections this process may have open; Linux only says it, elsewhere there is no bound. */
function maxOpenFiles(): number {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
