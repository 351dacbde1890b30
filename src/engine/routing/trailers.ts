import type { IncomingMessage, OutgoingMessage } from 'node:http'
import { isOfClient, isOfMessage } from './headers.js'

/** Say how a message is framed, routed or authorised: at its end they would be believed by nobody, or by some (RFC 9110, 6.5.1). */
const NEVER_AT_THE_END = new Set([
  ...['authorization', 'content-encoding', 'content-length', 'content-range', 'content-type', 'cookie'],
  ...['expect', 'host', 'max-forwards', 'set-cookie', 'transfer-encoding'],
])

/** Hands the fields that follow a body on. To be called once `from` has ended, and before `to` is ended. */
export function passTrailers(from: IncomingMessage, to: OutgoingMessage): void {
  const { rawTrailers } = from
  const pairs: [name: string, value: string][] = []
  for (let at = 0; at + 1 < rawTrailers.length; at += 2) {
    const [name = '', value = ''] = rawTrailers.slice(at, at + 2)
    const lower = name.toLowerCase()
    if (!NEVER_AT_THE_END.has(lower) && isOfMessage(lower) && isOfClient(lower)) pairs.push([name, value])
  }
  if (pairs.length === 0) return
  try {
    to.addTrailers(pairs)
  } catch {
    // Node.js reads more than it writes; the body is whole without them.
  }
}
