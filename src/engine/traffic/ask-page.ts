import { type IncomingHttpHeaders, request } from 'node:http'
import { MAX_RESPONSE_HEAD_BYTES } from '../http1/response-heads.js'
import { stallTolerantTimeout } from '../stall-tolerant-timeout.js'
import { probeHeaders } from './health.js'

/** The front page of an app, asked of its container as a browser would ask for it at the URL. */
export interface PageQuestion {
  readonly host: string
  readonly port: number
  readonly url: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** What came back first. */
export interface PageAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

/** Null: it does not answer in time, or not by HTTP. Never rejects. */
export function askPage({ host, port, url, timeoutMs, signal }: PageQuestion): Promise<PageAnswer | null> {
  const options = {
    host,
    port,
    path: '/',
    maxHeaderSize: MAX_RESPONSE_HEAD_BYTES,
    agent: false as const,
    signal,
  }
  return new Promise((resolve) => {
    const asked = request({ ...options, headers: probeHeaders(url) })
    const finish = (answer: PageAnswer | null) => {
      stopWaiting()
      asked.destroy()
      resolve(answer)
    }
    const stopWaiting = stallTolerantTimeout(timeoutMs, () => finish(null))
    asked.once('response', ({ statusCode = 0, headers }) => finish({ status: statusCode, headers }))
    asked.on('error', () => finish(null))
    asked.end()
  })
}
