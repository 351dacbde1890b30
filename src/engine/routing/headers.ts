import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { tokensOf } from '../http1/request-heads.js'
import { NO_PROXIES, type TrustedProxies } from '../http1/trusted-proxies.js'

/** Belong to one connection, not to the request (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer', // passed on with the trailers it announces, see below
  'upgrade',
])

/**
 * Belong to the message, whatever Connection names: without what says where a body ends, an app takes the body for the
 * next request.
 */
const NEVER_OF_HOP = new Set(['host', 'content-length', 'transfer-encoding'])

const NONE: ReadonlySet<string> = new Set()

/** Of a trusted proxy they are passed on. */
const OF_PROXY = ['x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'forwarded'] as const

/** Whether it came over TLS, to this router. */
export function isTls(incoming: IncomingMessage): boolean {
  return incoming.socket instanceof TLSSocket
}

/** Whether the client asked over TLS: this router, or the first of the proxies before it. */
export function isSecure(incoming: IncomingMessage, proxies: TrustedProxies): boolean {
  if (isTls(incoming)) return true
  if (!proxies.sent(incoming)) return false
  return tokensOf(String(incoming.headers['x-forwarded-proto'] ?? ''))[0]?.toLowerCase() === 'https'
}

/** Headers for the app: those of the client, and who asked for what host. Clients cannot forge `X-Forwarded-*`. */
export function forwardedHeaders(incoming: IncomingMessage, proxies = NO_PROXIES): IncomingHttpHeaders {
  const named = namedIn(incoming.headers.connection)
  const headers: IncomingHttpHeaders = {}
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (isOfClient(name) && isOfMessage(name) && !named.has(name)) headers[name] = value
  }
  sayAnew(incoming, headers)
  return { ...headers, ...forwarded(incoming, proxies) }
}

/** What a hop reads, and says anew to the next one. */
function sayAnew(incoming: IncomingMessage, headers: IncomingHttpHeaders): void {
  const { te, trailer, 'max-forwards': forwards } = incoming.headers
  if (te !== undefined && tokensOf(String(te).toLowerCase()).includes('trailers')) {
    headers.te = 'trailers'
    headers.connection = 'TE'
  }
  if (trailer !== undefined && incoming.headers['transfer-encoding'] !== undefined) headers.trailer = trailer
  if (incoming.httpVersion !== '1.1') delete headers.expect // HTTP/1.0 knows no interim answer
  if (incoming.method === 'OPTIONS' && Number(forwards) > 0)
    headers['max-forwards'] = `${Number(forwards) - 1}`
}

/** Whether it belongs to the message, and not to one connection. */
export function isOfMessage(name: string): boolean {
  return !HOP_BY_HOP.has(name)
}

/** Whether clients may say it. CGI hands `Proxy` to programs as HTTP_PROXY, which they send their own requests to. */
export function isOfClient(name: string): boolean {
  return name !== 'proxy' && !isForwarded(name)
}

/**
 * Who asked for what is said by this router alone. Apps behind CGI, WSGI, Rack or PHP cannot tell `X_Forwarded_For` from
 * `X-Forwarded-For`, so neither do we.
 */
function isForwarded(name: string): boolean {
  if (!name.startsWith('x') && name !== 'forwarded') return false
  const spelled = name.replace(/[^a-z0-9]/g, '-')
  return name === 'forwarded' || spelled === 'x-real-ip' || spelled.startsWith('x-forwarded-')
}

/** The client's address alone, so that apps find it from either end. */
function forwarded(incoming: IncomingMessage, proxies: TrustedProxies): IncomingHttpHeaders {
  const client = proxies.clientOf(incoming)
  const own: IncomingHttpHeaders = {
    'x-real-ip': client,
    'x-forwarded-for': client,
    'x-forwarded-host': incoming.headers.host ?? '',
    'x-forwarded-proto': isTls(incoming) ? 'https' : 'http',
  }
  if (!proxies.sent(incoming)) return own
  for (const name of OF_PROXY) {
    const said = incoming.headers[name]
    if (said !== undefined) own[name] = String(said)
  }
  return own
}

/**
 * An answer's headers for the client, without those of the connection to the app, of which one is how it was cut into
 * pieces: Node.js cuts it anew, as the client understands it. `Trailer` is kept where trailers may follow. Name, value, …
 */
export function answerHeaders(raw: readonly string[], mayHaveTrailers = false): string[] {
  const pairs: [name: string, value: string][] = []
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? ''])
  const connection = pairs.filter(([name]) => name.toLowerCase() === 'connection').map(([, value]) => value)
  const named = namedIn(connection.join(','))
  return pairs
    .filter(([name]) => {
      const lower = name.toLowerCase()
      if (lower === 'trailer') return mayHaveTrailers
      return isOfMessage(lower) && lower !== 'transfer-encoding' && !named.has(lower)
    })
    .flat()
}

/** Names of headers that a Connection header declares to be of this hop. */
function namedIn(connection: string | undefined): ReadonlySet<string> {
  if (!connection) return NONE
  const names = tokensOf(connection.toLowerCase())
  return new Set(names.filter((name) => !NEVER_OF_HOP.has(name)))
}
