import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { Agent as TlsAgent, request as requestTls } from 'node:https'
import { stringify } from 'node:querystring'
import type { Duplex, Readable } from 'node:stream'
import { type EngineAddress, engineAddress } from './engine-address.js'

/** As the agent that Node.js uses where none is named. */
const KEEP_ALIVE = { keepAlive: true, scheduling: 'lifo', timeout: 5_000 } as const
/** An engine says little of itself; what says more is none. */
const MAX_WORDS = 1024 * 1024

/** One call of the engine's API. */
export interface EngineRequest {
  readonly method: string
  readonly path: string
  /** Maps go as JSON, lists as often as they have items. */
  readonly query?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string | string[]>>
  /** A text is JSON, a stream is a tar. */
  readonly body?: string | Readable
  /** What each status means: `true` is the answer that was asked for, a text says what is wrong. */
  readonly statusCodes: Readonly<Record<number, true | string>>
  /** Aborting it breaks the connection. */
  readonly signal?: AbortSignal | undefined
}

/** The engine answers with a status that was not asked for. */
export class EngineRefusal extends Error {
  override name = 'EngineRefusal'

  constructor(
    readonly statusCode: number,
    /** What the status means for this call, and what the engine says. */
    message: string,
  ) {
    super(message)
  }
}

/**
 * Speaks HTTP with one engine: the only place that opens a connection to it. Methods reject with {@link EngineRefusal}
 * where the engine answers otherwise than asked for, and with the system's error where the connection fails.
 */
export class EngineClient {
  readonly #address: EngineAddress
  readonly #agent: Agent

  /** Unversioned paths let every engine from 20.10 on answer with its newest API. */
  constructor(dockerHost: string) {
    const address = engineAddress(dockerHost)
    if (!address) throw new Error(`"${dockerHost}" is not unix:///path or tcp://host:port`)
    this.#address = address
    this.#agent = agentFor(address, KEEP_ALIVE)
  }

  /** The whole answer: JSON is parsed, what is none is given as it came. */
  async ask(asked: EngineRequest): Promise<unknown> {
    const bytes = await bytesOf(await this.open(asked))
    return parsed(bytes.toString('utf8')) ?? bytes
  }

  /** An answer that is read as it comes. One that breaks off says so to its reader. */
  async open(asked: EngineRequest): Promise<IncomingMessage> {
    const answer = await answerTo(this.#send(asked, this.#agent), asked.body)
    if (asked.statusCodes[answer.statusCode ?? 0] === true) return answer
    throw await refusalOf(answer, asked)
  }

  /** A connection on which the engine goes on with another protocol. */
  async upgrade(asked: EngineRequest): Promise<Duplex> {
    const headers = { Connection: 'Upgrade', ...asked.headers }
    const call = this.#send({ ...asked, headers }, this.#agent)
    const upgraded = new Promise<Duplex>((resolve) => {
      call.once('upgrade', (_answer, socket: Duplex, head: Buffer) => {
        if (head.length > 0) socket.unshift(head)
        resolve(socket)
      })
    })
    const refused = answerTo(call).then(async (answer) => {
      throw await refusalOf(answer, asked)
    })
    return Promise.race([upgraded, refused])
  }

  /** What a GET is answered, whatever that is, on a connection of its own. */
  async probe(path: string, signal?: AbortSignal): Promise<{ status: number; text: string }> {
    const call = this.#send({ method: 'GET', path, statusCodes: {}, signal }, agentFor(this.#address, {}))
    const answer = await answerTo(call)
    return { status: answer.statusCode ?? 0, text: (await bytesOf(answer, MAX_WORDS)).toString('utf8') }
  }

  /** To be ended by who waits for its answer. */
  #send(
    { method, path, query = {}, headers = {}, body, signal }: EngineRequest,
    agent: Agent,
  ): ClientRequest {
    const { protocol, ...where } = { protocol: 'http', ...this.#address }
    const search = Object.keys(query).length === 0 ? '' : `?${stringify(flat(query))}`
    const options = {
      ...where,
      ...{ method, path: `${path}${search}`, agent, headers: { ...headers, ...bodyHeaders(body) } },
      ...(signal ? { signal } : {}),
    }
    return (protocol === 'https' ? requestTls : request)(options)
  }
}

/**
 * Connections never fail without anybody listening. A call that is aborted when its answer has arrived and is not read yet (a
 * build is cancelled while its last lines are stored) destroys its connection with an error, and Node.js 20 takes its own
 * listener away before that is said: nobody else listens, and the process ends.
 */
function agentFor(address: EngineAddress, options: typeof KEEP_ALIVE | Record<never, never>): Agent {
  const isTls = 'protocol' in address && address.protocol === 'https'
  const agent = isTls ? new TlsAgent(options) : new Agent(options)
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (...args) => create(...args)?.on('error', () => undefined)
  return agent
}

function answerTo(call: ClientRequest, body?: string | Readable): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    call.on('response', resolve).on('error', reject)
    if (body === undefined || typeof body === 'string') return void call.end(body)
    body.on('error', (error) => call.destroy(error))
    body.pipe(call)
  })
}

function bodyHeaders(body: string | Readable | undefined): Record<string, string | number> {
  if (body === undefined) return {}
  if (typeof body !== 'string') return { 'Content-Type': 'application/tar' }
  return { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
}

type Primitive = string | number | boolean

function flat(query: Readonly<Record<string, unknown>>): Record<string, Primitive | readonly Primitive[]> {
  const isMap = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)
  const flatten = (value: unknown) => (isMap(value) ? JSON.stringify(value) : (value as Primitive))
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, flatten(value)]))
}

async function bytesOf(answer: IncomingMessage, maxBytes = Infinity): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > maxBytes) break
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

async function refusalOf(answer: IncomingMessage, { statusCodes }: EngineRequest): Promise<EngineRefusal> {
  const status = answer.statusCode ?? 0
  const text = (await bytesOf(answer)).toString('utf8')
  const said: { message?: string; error?: string } | null = parsed(text)
  const why = said?.message ?? said?.error ?? text
  return new EngineRefusal(status, `(HTTP code ${status}) ${statusCodes[status] ?? 'unexpected'} - ${why} `)
}

function parsed(text: string): object | null {
  try {
    return JSON.parse(text) as object | null
  } catch {
    return null
  }
}
