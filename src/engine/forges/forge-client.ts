import { createSecureContext } from 'node:tls'
import { Agent, type Dispatcher, EnvHttpProxyAgent, fetch, Pool, type Response } from 'undici'
import { ConfigError } from '../../config.js'
import { proxyEnvironment } from '../../environment.js'

const TIMEOUT_MS = 10_000
/** Of an answer: enough for its reason. */
const MAX_BYTES = 8 * 1024
/** A proxy that says nothing holds no connection for longer, whoever asked it. */
const SILENCE_MS = 10_000

export interface ForgeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH'
  readonly url: string
  /** With the token. */
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: object
}

export interface ForgeAnswer {
  readonly status: number
  /** Its beginning, up to `maxBytes`. */
  readonly text: string
}

export interface ForgeCallOptions {
  readonly signal: AbortSignal
  /** Of each of at most two requests. */
  readonly timeoutMs?: number
  readonly maxBytes?: number
}

/** A forge that has not done what it was asked. */
export class ForgeError extends Error {
  override name = 'ForgeError'

  /** @param isFinal asked again it would say the same */
  constructor(
    message: string,
    readonly isFinal: boolean,
  ) {
    super(message)
  }
}

/** Calls the APIs of forges: the one place from which anything is sent to them, by the CAs and the proxies that git uses. */
export class ForgeClient implements Disposable {
  readonly #dispatchers: Readonly<Record<'http:' | 'https:', Dispatcher>>

  /**
   * @param ca certificates in PEM that are trusted, and no others; null: those that Node.js trusts
   * @param proxies the usual variables, in upper or lower case
   * @throws ConfigError when one of them is no address of a proxy
   */
  constructor(ca: string | null, proxies: Readonly<Record<string, string>> = proxyEnvironment()) {
    const tls = ca === null ? {} : { secureContext: createSecureContext({ ca }) }
    this.#dispatchers = {
      'http:': openDispatcher('http_proxy', proxies, tls),
      'https:': openDispatcher('https_proxy', proxies, tls),
    }
  }

  /**
   * Gives the answer, whatever its status, but for redirects: those are followed once, on the same origin alone, because
   * the token is for that one.
   *
   * @throws ForgeError
   */
  async call(request: ForgeRequest, options: ForgeCallOptions): Promise<ForgeAnswer> {
    const first = await this.#send(request, options)
    const moved = movedTo(request.url, first)
    const answer = moved === null ? first : await this.#send({ ...request, url: moved }, options)
    if (answer.status < 300 || answer.status >= 400) return answer
    const message = `the API redirects (${answer.status}) more than once, or nowhere: correct apiUrl or repository`
    throw new ForgeError(message, true)
  }

  /** Ends all calls. */
  [Symbol.dispose](): void {
    // Not waited for: where a proxy says nothing, undici waits until SILENCE_MS is over.
    for (const dispatcher of Object.values(this.#dispatchers))
      void dispatcher.destroy().catch(() => undefined)
  }

  async #send(
    { method, url, headers, body }: ForgeRequest,
    { signal, timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES }: ForgeCallOptions,
  ): Promise<Received> {
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      // Not undici's request(), which heeds a signal only once it is connected.
      const response = await fetch(url, {
        method,
        headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'longshore' },
        body: body === undefined ? null : JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.any([signal, timeout]),
        dispatcher: this.#dispatchers[new URL(url).protocol as 'http:' | 'https:'],
      })
      const location = response.headers.get('location')
      return { status: response.status, text: await beginningOf(response, maxBytes), location }
    } catch (error) {
      // Held until here by its use: a timeout that only AbortSignal.any knows is collected as garbage, and never comes.
      const why = timeout.aborted ? ` within ${timeoutMs / 1000} s` : `: ${reasonOf(error)}`
      throw new ForgeError(`no answer${why}`, false)
    }
  }
}

interface Received extends ForgeAnswer {
  readonly location: string | null
}

/**
 * What calls of one protocol go through. A proxy counts as git has it: that of `ALL_PROXY` where the protocol has none of its
 * own; that of `HTTP_PROXY` never for https.
 */
function openDispatcher(
  own: 'http_proxy' | 'https_proxy',
  proxies: Readonly<Record<string, string>>,
  tls: object,
): Dispatcher {
  const of = (name: string) => proxies[name] || proxies[name.toUpperCase()] || null
  const timeouts = { headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS }
  const name = of(own) === null ? 'all_proxy' : own
  const proxy = of(name)
  if (proxy === null) return new Agent({ connect: tls, ...timeouts })
  const uri = checkProxy(name.toUpperCase(), proxy)
  return new EnvHttpProxyAgent({
    ...{ httpProxy: uri, httpsProxy: uri, noProxy: of('no_proxy') ?? '' },
    // A plain request is handed to the proxy as such, which may allow tunnels to port 443 only.
    proxyTunnel: false,
    clientFactory: (origin: URL, more: object) => new Pool(origin, { ...more, ...timeouts }),
    ...{ ...timeouts, connect: tls, requestTls: tls, proxyTls: tls },
  })
}

/** As git takes it: without a protocol it is http; in undici's SOCKS the proxy looks names up, as git's socks5h has it. */
function checkProxy(name: string, proxy: string): string {
  const uri = (proxy.includes('://') ? proxy : `http://${proxy}`).replace(/^socks5h:/i, 'socks5:')
  // It may have a password, which is in no error.
  if (/^(https?|socks5):/i.test(uri) && URL.canParse(uri)) return uri
  throw new ConfigError(`${name}: must be the address of a proxy: http://, https://, socks5:// or socks5h://`)
}

/** Where a renamed repository is now; null: there is no redirect. @throws ForgeError where it leads to another host */
function movedTo(url: string, { status, location }: Received): string | null {
  if (![301, 302, 307, 308].includes(status) || location === null || !URL.canParse(location, url)) return null
  const moved = new URL(location, url)
  if (moved.origin === new URL(url).origin) return moved.href
  const message = `the API redirects (${status}) to ${moved.origin}, to which the token is not sent: correct apiUrl or repository`
  throw new ForgeError(message, true)
}

async function beginningOf({ body }: Response, maxBytes: number): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of (body ?? []) as AsyncIterable<Uint8Array>) {
    parts.push(part)
    bytes += part.length
    if (bytes >= maxBytes) break
  }
  return Buffer.concat(parts).subarray(0, maxBytes).toString('utf8')
}

/** fetch's own message says only that it failed: what happened is its cause, or that one's. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  const isTold = cause instanceof Error && (cause.message !== '' || cause.cause instanceof Error)
  return isTold ? reasonOf(cause) : message
}
