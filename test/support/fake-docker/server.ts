import { existsSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { answer, breakOff, refuse } from './answer.js'
import type { Engine, Route } from './engine.js'
import { Exchange } from './exchange.js'
import type { Fault, Gate } from './faults.js'
import { Refused } from './model.js'
import { BUILD_ROUTES } from './routes-build.js'
import { CONTAINER_ROUTES } from './routes-containers.js'
import { EXEC_ROUTES } from './routes-exec.js'
import { IMAGE_ROUTES } from './routes-images.js'
import { NETWORK_ROUTES } from './routes-networks.js'
import { openSession } from './session-files.js'
import { SYSTEM_ROUTES } from './routes-system.js'

const ROUTES: readonly Route[] = [
  ...SYSTEM_ROUTES,
  ...NETWORK_ROUTES,
  ...CONTAINER_ROUTES,
  ...EXEC_ROUTES,
  ...IMAGE_ROUTES,
  ...BUILD_ROUTES,
]

export interface Call {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Null until it is answered. */
  status: number | null
}

/** The engine's API on a unix socket. */
export class ApiServer {
  readonly calls: Call[] = []
  readonly faults: Fault[] = []
  readonly gates: Gate[] = []
  /** BuildKit sessions that are open. */
  readonly sessions = new Set<Socket>()
  readonly #sockets = new Set<Socket>()
  #server: Server | null = null
  #hangs = false

  constructor(
    private readonly engine: Engine,
    readonly socketPath: string,
  ) {}

  get connections(): number {
    return this.#sockets.size
  }

  async up(): Promise<void> {
    this.#hangs = false
    if (this.#server) return
    if (existsSync(this.socketPath)) rmSync(this.socketPath)
    const server = createServer((request, response) => void this.#handle(request, response))
    server.requestTimeout = 0
    server.on('upgrade', (request: IncomingMessage, socket: Socket) => void this.#upgrade(request, socket))
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => socket.destroy())
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.socketPath, resolve)
    })
    this.#server = server
  }

  /** Connections break, new ones are refused. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    const closed = new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
    // A real engine is away long enough for its clients to notice before they use a connection again.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  hang(): void {
    this.#hangs = true
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(request, this.engine.dialect)
    const call = this.#record(exchange)
    response.on('close', () => exchange.leave())
    if (this.#hangs) return
    const fault = this.#faultFor(exchange)
    try {
      await this.#carryOut(exchange, response, fault)
    } catch (error) {
      if (response.headersSent || exchange.signal.aborted) response.destroy()
      else if (error instanceof Refused) refuse(response, error.status, error.message)
      else refuse(response, 500, String(error))
    }
    if (exchange.path === '/build' && exchange.signal.aborted) this.engine.builds.aborted++
    if (response.headersSent) call.status = response.statusCode
    // The answer came before the request's end: the rest is read, so that the connection can be used again.
    request.resume()
  }

  async #carryOut(exchange: Exchange, response: ServerResponse, fault: Fault | null): Promise<void> {
    const kind = fault?.options.kind
    if (kind === 'hang') return
    if (kind === 'delay') await sleep(fault?.options.ms ?? 0, undefined, { signal: exchange.signal })
    if (kind === 'error500') throw new Refused(500, 'a fault of the test')
    const gate = this.gates.find((one) => one.takes(exchange.target)) ?? null
    const route = ROUTES.find(({ method, path }) => method === exchange.method && path.test(exchange.path))
    const api = `1.${this.engine.dialect.api}`
    response.setHeader('api-version', api)
    response.setHeader('ostype', 'linux')
    response.setHeader('server', `Docker/${this.engine.version} (linux)`)
    if (exchange.tooNew) {
      const message = `client version ${exchange.tooNew} is too new. Maximum supported API version is ${api}`
      throw new Refused(400, message)
    }
    if (!route) throw new Refused(404, 'page not found')
    const builds = exchange.path === '/build'
    if (gate && !builds && (await gate.wait(exchange.signal)) === 'fail') {
      throw new Refused(500, 'a gate of the test let it fail')
    }
    // What would be lost on the way is not carried out, unless it only reads.
    if (spoils(fault) && exchange.method !== 'GET' && !builds) {
      if (kind !== 'reset') return void response.writeHead(200).end()
      response.writeHead(200, { 'content-length': 100 })
      response.write('{"mess')
      return breakOff(response)
    }
    const name = decodeURIComponent(route.path.exec(exchange.path)?.[1] ?? '')
    const reply = await route.answer(this.engine, exchange, name)
    const held = gate && builds ? holding(reply, gate, exchange) : reply
    await answer(response, held, exchange, fault)
    if (builds && spoils(fault)) this.engine.builds.failed++
  }

  /** `POST /session`: the client serves HTTP/2 on this connection, for a build that asks it for files or passwords. */
  async #upgrade(request: IncomingMessage, socket: Socket): Promise<void> {
    const exchange = new Exchange(request, this.engine.dialect)
    const call = this.#record(exchange)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.sessions.delete(socket)
      exchange.leave()
    })
    const fault = this.#faultFor(exchange)
    const kind = fault?.options.kind
    if (this.#hangs || kind === 'hang') return
    if (kind === 'delay') await sleep(fault?.options.ms ?? 0)
    if (kind === 'reset' || kind === 'done-then-error') return void socket.destroy()
    if (kind === 'error500') {
      const body = '{"message":"a fault of the test"}\n'
      socket.end(`HTTP/1.1 500 Internal Server Error\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      return
    }
    call.status = 101
    this.sessions.add(socket)
    socket.on('end', () => socket.end())
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
    const id = String(request.headers['x-docker-expose-session-uuid'])
    this.engine.sessions.set(id, openSession(socket))
    socket.on('close', () => this.engine.sessions.delete(id))
  }

  #record(exchange: Exchange): Call {
    const { method, path, query } = exchange
    const call: Call = { method, path, query: Object.fromEntries(query), status: null }
    this.calls.push(call)
    return call
  }

  #faultFor({ method, target }: Exchange): Fault | null {
    return this.faults.find((fault) => fault.take(method, target)) ?? null
  }
}

function spoils(fault: Fault | null): boolean {
  return ['reset', 'early-eof', 'half-frame'].includes(fault?.options.kind ?? '')
}

/** A build is held when its steps are done, before its result. */
function holding(reply: Awaited<ReturnType<Route['answer']>>, gate: Gate, exchange: Exchange): typeof reply {
  let failed = false
  async function* stream(): AsyncGenerator<string | Buffer> {
    yield* reply.stream ?? []
    failed = (await gate.wait(exchange.signal)) === 'fail'
    if (failed) yield reply.failure?.(1) ?? ''
  }
  return { ...reply, stream: stream(), finish: () => (failed ? [] : (reply.finish?.() ?? [])) }
}
