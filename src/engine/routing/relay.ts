import type { IncomingMessage, ServerResponse } from 'node:http'
import { announceEnd, endAfterRequest } from './early-end.js'
import { errorPage } from './error-page.js'
import { answerHeaders } from './headers.js'
import { passTrailers } from './trailers.js'

/**
 * Hands an app's answer on as it comes. One that no client could be given (a status below 200, control characters, a
 * transfer coding) is broken off, and the client gets the page for an app that does not answer.
 */
export function relay(answer: IncomingMessage, incoming: IncomingMessage, response: ServerResponse): void {
  if (!begin(answer, incoming, response)) {
    answer.on('error', () => undefined).destroy()
    return errorPage(incoming, response, 502)
  }
  answer.pipe(response, { end: false })
  // Node.js keeps a head until the body begins, and a stream of events may take its time.
  if (answer.headers['content-length'] === undefined) setImmediate(() => response.flushHeaders())
  answer.once('end', () => {
    passTrailers(answer, response)
    endAfterRequest(incoming, response)
  })
  answer.on('error', () => response.destroy())
  response.on('error', () => undefined) // it closes as well, and that counts
}

function begin(answer: IncomingMessage, incoming: IncomingMessage, response: ServerResponse): boolean {
  const { statusCode = 0, statusMessage, rawHeaders } = answer
  const coding = answer.headers['transfer-encoding'] ?? 'chunked'
  if (statusCode < 200 || coding.toLowerCase() !== 'chunked') return false
  announceEnd(incoming, response)
  try {
    response.writeHead(
      statusCode,
      statusMessage,
      answerHeaders(rawHeaders, mayHaveTrailers(answer, incoming)),
    )
    return true
  } catch {
    return false // Node.js reads more than it writes
  }
}

/** Where Node.js writes an answer in chunks: elsewhere it refuses to announce trailers. */
function mayHaveTrailers(
  { headers, statusCode }: IncomingMessage,
  { method, httpVersion }: IncomingMessage,
): boolean {
  const hasBody = method !== 'HEAD' && statusCode !== 204 && statusCode !== 304
  return hasBody && httpVersion === '1.1' && headers['transfer-encoding'] !== undefined
}
