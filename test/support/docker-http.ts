import { type IncomingMessage, request } from 'node:http'
import { engineAddress } from '../../src/engine/docker/engine-address.js'
import { readNdjson } from '../../src/engine/docker/ndjson.js'

export interface DockerAnswer {
  readonly status: number
  readonly type: string | undefined
  readonly body: Buffer
  readonly text: string
  json<T = Record<string, unknown>>(): T
}

/** A stream of the engine's that goes on until it is closed. */
export interface DockerStream extends Disposable {
  readonly status: number
  /** Parsed lines so far. */
  readonly lines: Record<string, unknown>[]
  /** Resolves when the engine ends the stream. */
  readonly ended: Promise<void>
}

/** Docker's HTTP API without any library: each call on a connection of its own. */
export class DockerHttp {
  constructor(readonly host: string) {}

  async call(method: string, path: string, body?: object | Buffer): Promise<DockerAnswer> {
    const answer = await this.#send(method, path, body)
    const pieces: Buffer[] = []
    for await (const piece of answer) pieces.push(piece as Buffer)
    const bytes = Buffer.concat(pieces)
    const text = bytes.toString('utf8')
    return {
      status: answer.statusCode ?? 0,
      type: answer.headers['content-type'],
      body: bytes,
      text,
      json: <T>() => JSON.parse(text) as T,
    }
  }

  /** NDJSON, as the events are. Resolves when the engine has begun to answer. */
  async follow(path: string): Promise<DockerStream> {
    const answer = await this.#send('GET', path)
    const lines: Record<string, unknown>[] = []
    const read = async () => {
      for await (const line of readNdjson(answer)) lines.push(line as Record<string, unknown>)
    }
    const ended = read().catch(() => undefined)
    return {
      status: answer.statusCode ?? 0,
      lines,
      ended,
      [Symbol.dispose]: () => void answer.destroy(),
    }
  }

  #send(method: string, path: string, body?: object | Buffer): Promise<IncomingMessage> {
    const { protocol: _plain, ...address } = { protocol: null, ...engineAddress(this.host) }
    const type = Buffer.isBuffer(body) ? 'application/x-tar' : 'application/json'
    const headers = body === undefined ? {} : { 'content-type': type }
    return new Promise((resolve, reject) => {
      const asked = request({ ...address, method, path, headers, agent: false }, resolve)
      asked.on('error', reject)
      asked.end(body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body))
    })
  }
}

/** `{"label":["a=b"]}` as a parameter. */
export function filters(values: Readonly<Record<string, readonly string[]>>): string {
  return `filters=${encodeURIComponent(JSON.stringify(values))}`
}

/** Maps whose keys whoever made the object chose: on a shared engine the first image of a list may be anybody's. */
const MAPS = ['Labels']

/** Where `fake` has what `real` has not, or something of another type. Null and an empty list fit everything. */
export function strangeIn(fake: unknown, real: unknown, path = ''): string[] {
  if (fake === null || real === null) return []
  if (Array.isArray(fake) && Array.isArray(real)) {
    return fake.length > 0 && real.length > 0 ? strangeIn(fake[0], real[0], `${path}[]`) : []
  }
  if (typeof fake !== typeof real || Array.isArray(fake) !== Array.isArray(real)) {
    return [`${path}: ${typeof fake}, not ${typeof real}`]
  }
  if (typeof fake !== 'object' || MAPS.some((name) => path.endsWith(`.${name}`))) return []
  return Object.entries(fake as Record<string, unknown>).flatMap(([key, value]) =>
    key in (real as Record<string, unknown>)
      ? strangeIn(value, (real as Record<string, unknown>)[key], `${path}.${key}`)
      : [`${path}.${key}: the real engine has no such field`],
  )
}

/** What stands at `State.Health.Status`. */
export function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((inner, key) => (inner as Record<string, unknown> | null)?.[key], value)
}

/** Those fields of a value, by path; what differs from engine to engine only by its type. */
export function fields(
  value: unknown,
  exact: readonly string[],
  typed: readonly string[] = [],
): Record<string, unknown> {
  const entries: [string, unknown][] = [
    ...exact.map((path): [string, unknown] => [path, at(value, path)]),
    ...typed.map((path): [string, unknown] => [path, kindOf(at(value, path))]),
  ]
  return Object.fromEntries(entries)
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'array'
  return value === '' ? 'empty string' : typeof value
}
