import type { IncomingMessage, ServerResponse } from 'node:http'
import { hasBody } from '../http1/request-heads.js'

/** What is still read, and thrown away, of a request that was answered before it had ended. */
const REST_BYTES = 64 * 1024 * 1024
const REST_MS = 30_000
/** A client that sends nothing for so long has seen the answer, or never will. */
const SILENCE_MS = 1_000

/** To be called before an answer begins: it says that the connection ends where the request has not ended yet. */
export function announceEnd(incoming: IncomingMessage, response: ServerResponse): void {
  if (isUnread(incoming)) response.shouldKeepAlive = false
}

/**
 * Ends an answer. Where the request has not ended yet, the rest of it is read first, as far as 64 MiB, 30 s and pauses
 * of 1 s: to close a connection before would reset it, and take the answer away from a client that sends everything
 * before it reads.
 */
export function endAfterRequest(incoming: IncomingMessage, response: ServerResponse): void {
  if (!isUnread(incoming) || response.destroyed) return void response.end()
  response.flushHeaders()
  let left = REST_BYTES
  const silence = setTimeout(() => end(), SILENCE_MS)
  const whole = setTimeout(() => end(), REST_MS)
  const end = () => {
    clearTimeout(silence)
    clearTimeout(whole)
    incoming.off('data', count).off('end', end).off('close', end)
    response.end()
  }
  const count = (bytes: Buffer) => {
    silence.refresh()
    left -= bytes.length
    if (left < 0) end()
  }
  incoming.unpipe()
  incoming.on('data', count).on('end', end).on('close', end).resume()
}

function isUnread(incoming: IncomingMessage): boolean {
  return !incoming.complete && hasBody(incoming)
}
