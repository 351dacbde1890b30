import { type InformationEvent, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { answerHeaders } from './headers.js'

/** A client that does not read, or waits for an earlier answer, gets no more interim answers than this. */
const MAX_UNREAD_BYTES = 64 * 1024
/** What an interim answer cannot have (RFC 9110, 8.6). */
const OF_A_BODY = new Set(['content-length', 'trailer'])
/** Answers whose clients were told to send the body. */
const continued = new WeakSet<ServerResponse>()
/** What Node.js refuses in the head of a final answer as well. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/

/**
 * Hands an app's interim answer (100, 102, 103 and any other 1xx) on, as every proxy has to (RFC 9110, 15.2). HTTP/1.0
 * knows none. One that comes while an earlier request of the connection is still being answered waits for its turn.
 */
export function relayInterim(information: InformationEvent, response: ServerResponse): void {
  if (response.req.httpVersion !== '1.1' || response.headersSent) return
  if (
    information.statusCode === 100 &&
    response.req.headers.expect !== undefined &&
    !continued.has(response)
  ) {
    // Node.js would end a connection on which it does not know the body to be expected.
    continued.add(response)
    return response.writeContinue()
  }
  const head = headOf(information)
  if (head === null) return
  const write = (socket: Socket) => {
    if (socket.writableLength + head.length <= MAX_UNREAD_BYTES) socket.write(head, 'latin1')
  }
  if (response.socket) write(response.socket)
  else if (response.listenerCount('socket') < 8) response.once('socket', write)
}

/** Null: no client could be given it. */
function headOf({ statusCode, statusMessage, rawHeaders }: InformationEvent): string | null {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage || STATUS_CODES[statusCode] || ''}`]
  const headers = answerHeaders(rawHeaders)
  for (let at = 0; at < headers.length; at += 2) {
    if (!OF_A_BODY.has(headers[at]?.toLowerCase() ?? '')) lines.push(`${headers[at]}: ${headers[at + 1]}`)
  }
  return lines.some((line) => CONTROL.test(line)) ? null : `${lines.join('\r\n')}\r\n\r\n`
}
