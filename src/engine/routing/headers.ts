import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { tokensOf } from '../http1/request-heads.js'

/** Belong to one connection, not to the request (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
])

/**
 * Belong to the message, whatever Connection names: without what says where a body ends, an app takes the body for the
 * next request.
 */
const NEVER_OF_HOP = new Set(['host', 'content-length', 'transfer-encoding'])

const NONE: ReadonlySet<string> = new Set()

/** Whether it came over TLS. */
export function isSecure(incoming: IncomingMessage): boolean {
  return incoming.socket instanceof TLSSocket
}

/** Headers for the app: those of the client, and who asked for what host. Clients cannot forge `X-Forwarded-*`. */
export function forwardedHeaders(incoming: IncomingMessage): IncomingHttpHeaders {
  const named = namedIn(incoming.headers.connection)
  const headers: IncomingHttpHeaders = {}
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (!isForwarded(name) && !HOP_BY_HOP.has(name) && !named.has(name)) headers[name] = value
  }
  return { ...headers, ...forwarded(incoming) }
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

function forwarded(incoming: IncomingMessage): Record<string, string> {
  const client = incoming.socket.remoteAddress ?? ''
  return {
    'x-real-ip': client,
    'x-forwarded-for': client,
    'x-forwarded-host': incoming.headers.host ?? '',
    'x-forwarded-proto': isSecure(incoming) ? 'https' : 'http',
  }
}

/**
 * An answer's headers for the client, without those of the connection to the app, of which one is how it was cut into
 * pieces: Node.js cuts it anew, as the client understands it. Name, value, name, value, …
 */
export function answerHeaders(raw: readonly string[]): string[] {
  const pairs: [name: string, value: string][] = []
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? ''])
  const connection = pairs.filter(([name]) => name.toLowerCase() === 'connection').map(([, value]) => value)
  const named = namedIn(connection.join(','))
  return pairs
    .filter(([name]) => {
      const lower = name.toLowerCase()
      return !HOP_BY_HOP.has(lower) && lower !== 'transfer-encoding' && !named.has(lower)
    })
    .flat()
}

/** Names of headers that a Connection header declares to be of this hop. */
function namedIn(connection: string | undefined): ReadonlySet<string> {
  if (!connection) return NONE
  const names = tokensOf(connection.toLowerCase())
  return new Set(names.filter((name) => !NEVER_OF_HOP.has(name)))
}
