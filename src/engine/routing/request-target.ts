import type { IncomingMessage } from 'node:http'
import type { Page } from './error-page.js'

/** What a host may consist of, with a port or without (RFC 3986, 3.2.2). */
const AUTHORITY = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::\d*)?$/
/** `http://host`, and the path and query that follow. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)([^]*)$/i

/**
 * Brings a request into the form that apps know: a path, and one Host that says whose. A target with a host in it takes
 * the place of Host (RFC 9112, 3.2.2).
 *
 * @returns the page that refuses a request that must not be forwarded; null for all others
 */
export function normalize(incoming: IncomingMessage): Page | null {
  const { method, headers, rawHeaders } = incoming
  if (method === 'TRACE') return 405 // it would show the client what the router adds, and scripts what they may not read
  if (!hasOneHost(rawHeaders)) return 400
  // Framing that HTTP/1.0 does not know (RFC 9112, 6.1): whoever is behind it may read another one.
  if (incoming.httpVersion !== '1.1' && headers['transfer-encoding'] !== undefined) return 400
  const url = incoming.url ?? '/'
  if (!url.startsWith('/')) {
    const target =
      method === 'OPTIONS' && url === '*' ? { host: headers.host, url } : fromAbsolute(url, method)
    if (!target) return 400
    headers.host = target.host
    incoming.url = target.url
  }
  return AUTHORITY.test(headers.host ?? '') ? null : 400
}

/** Whether a client asks for what the last proxy can do that it allows. */
export function isOnlyForProxies({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['max-forwards'] === '0'
}

function fromAbsolute(url: string, method: string | undefined): { host: string; url: string } | null {
  const [, host = '', rest = ''] = ABSOLUTE.exec(url) ?? []
  if (host === '' || host.includes('@')) return null
  if (rest === '' && method === 'OPTIONS') return { host, url: '*' }
  return { host, url: rest.startsWith('/') ? rest : `/${rest}` }
}

/** Node.js shows the first of several; an app may read another one. */
function hasOneHost(rawHeaders: readonly string[]): boolean {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  return count <= 1
}
