import type { IncomingMessage } from 'node:http'
import type { Filters } from './events.js'
import type { Dialect } from './generations.js'
import { Refused } from './model.js'

/** What a route answers. */
export interface Reply {
  readonly status: number
  readonly json?: unknown
  readonly type?: string
  /** Instead of JSON: pieces, each written at once. */
  readonly stream?: AsyncIterable<string | Buffer>
  /** Carries the request out and gives the last pieces of the stream. */
  readonly finish?: () => string[]
  /** The last piece in case a gate or a fault lets the request fail. */
  readonly failure?: (code: number) => string
}

/** One request, read. */
export class Exchange {
  readonly method: string
  /** Without the API's version. */
  readonly path: string
  readonly query: URLSearchParams
  /** Aborted when the client goes away, or the engine goes down. */
  readonly signal: AbortSignal
  readonly #gone = new AbortController()

  constructor(
    private readonly request: IncomingMessage,
    private readonly dialect: Dialect,
  ) {
    const url = new URL(request.url ?? '/', 'http://docker')
    this.method = request.method ?? 'GET'
    this.path = url.pathname.replace(/^\/v1\.\d+(?=\/)/, '')
    this.query = url.searchParams
    this.signal = this.#gone.signal
    const version = /^\/v1\.(\d+)\//.exec(url.pathname)?.[1]
    this.tooNew = version !== undefined && Number(version) > dialect.api ? `1.${version}` : null
  }

  readonly tooNew: string | null

  /** What faults and gates look at: the path with its query in clear. */
  get target(): string {
    const query = [...this.query].map(([key, value]) => `${key}=${value}`).join('&')
    return query === '' ? this.path : `${this.path}?${query}`
  }

  leave(): void {
    this.#gone.abort(new Error('the client went away'))
  }

  async body(): Promise<Buffer> {
    const pieces: Buffer[] = []
    for await (const piece of this.request) pieces.push(piece as Buffer)
    return Buffer.concat(pieces)
  }

  /** @throws Refused when there is none, as the real engine does */
  async json<T>(): Promise<T> {
    const text = (await this.body()).toString('utf8')
    if (text.trim() === '') throw new Refused(this.dialect.noBodyStatus, this.dialect.words.noBody)
    return JSON.parse(text) as T
  }

  flag(name: string): boolean {
    return ['1', 'true', 'True', 'TRUE'].includes(this.query.get(name) ?? '')
  }

  number(name: string, otherwise: number): number {
    const value = Number(this.query.get(name) ?? Number.NaN)
    return Number.isFinite(value) ? value : otherwise
  }

  /** `{"label":["a=b"]}`, or the older `{"label":{"a=b":true}}`. */
  filters(): Filters {
    const text = this.query.get('filters')
    const given = text ? (JSON.parse(text) as Record<string, string[] | Record<string, boolean>>) : {}
    return new Map(
      Object.entries(given).map(([name, values]) => [
        name,
        Array.isArray(values) ? values : Object.keys(values),
      ]),
    )
  }
}
