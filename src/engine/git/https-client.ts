import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent, request, type RequestOptions } from 'node:https'
import { createSecureContext } from 'node:tls'
import { DeployError, OutageError } from '../errors.js'
import { seconds } from './remote-command.js'

/** As many as a forge needs for an object that is kept elsewhere. */
const MAX_REDIRECTS = 5

/** A question by HTTPS. */
export interface HttpsRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

interface HttpsOptions {
  /** Certificates of CAs in PEM; null: those of Node.js. */
  readonly ca: string | null
  /** How long a server may send nothing. */
  readonly silenceMs: number
}

/**
 * Asks servers by HTTPS and nothing else, also where they redirect to: a header `authorization` goes to the origin that it
 * was meant for.
 */
export class HttpsClient implements Disposable {
  readonly #agent: Agent

  constructor(private readonly options: HttpsOptions) {
    const secureContext = createSecureContext(options.ca === null ? {} : { ca: options.ca })
    this.#agent = new Agent({ keepAlive: true, secureContext })
  }

  /**
   * The answer, whatever its status; its body ends with an error when the server falls silent.
   *
   * @throws OutageError LFS_UNAVAILABLE, CLONE_TIMEOUT when the network or the server may be well again in a moment
   * @throws DeployError LFS_UNAVAILABLE when its certificate is not trusted, or it redirects to something else
   */
  async send(asked: HttpsRequest, signal: AbortSignal): Promise<IncomingMessage> {
    let next = asked
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const answer = await this.#sendOnce(next, signal)
      const { location } = answer.headers
      if (![301, 302, 303, 307, 308].includes(answer.statusCode ?? 0) || location === undefined) return answer
      answer.resume()
      next = redirected(next, location)
    }
    throw new DeployError('LFS_UNAVAILABLE', `${hostOf(asked.url)} redirects without end`)
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  #sendOnce({ method, url, headers, body }: HttpsRequest, signal: AbortSignal): Promise<IncomingMessage> {
    checkHttps(url)
    const { silenceMs } = this.options
    return new Promise((resolve, reject) => {
      const options = { method, headers, agent: this.#agent, timeout: silenceMs, signal }
      const sent = start(url, options)
      let answer: IncomingMessage | null = null
      sent.once('response', (message) => resolve((answer = message)))
      sent.once('timeout', () => (answer ?? sent).destroy(silent(url, silenceMs)))
      sent.on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : outage(url, error)))
      sent.end(body)
    })
  }
}

function start(url: string, options: RequestOptions): ClientRequest {
  try {
    return request(url, options)
  } catch (error) {
    throw outage(url, error as Error)
  }
}

/** What went wrong on the way. */
export function outage(url: string, error: Error): Error {
  if (error instanceof OutageError) return error
  const { code = '' } = error as NodeJS.ErrnoException
  if (code.startsWith('ERR_INVALID') || code === 'ERR_UNESCAPED_CHARACTERS') {
    const message = 'the LFS server names an address or a header that no request can have'
    return new DeployError('LFS_UNAVAILABLE', message, { cause: error })
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    const message = `the TLS certificate of ${hostOf(url)} is not trusted (${error.message}): set GIT_CA_FILE`
    return new DeployError('LFS_UNAVAILABLE', message, { cause: error })
  }
  return new OutageError('LFS_UNAVAILABLE', `no answer from ${hostOf(url)}: ${error.message || code}`, error)
}

function silent(url: string, silenceMs: number): OutageError {
  const message = `${hostOf(url)} sent nothing for ${seconds(silenceMs)} (FETCH_SILENCE_TIMEOUT)`
  return new OutageError('CLONE_TIMEOUT', message)
}

function redirected(asked: HttpsRequest, location: string): HttpsRequest {
  checkHttps(URL.canParse(location, asked.url) ? new URL(location, asked.url).href : '')
  const url = new URL(location, asked.url)
  if (url.origin === new URL(asked.url).origin) return { ...asked, url: url.href }
  const headers = Object.entries(asked.headers).filter(([name]) => name.toLowerCase() !== 'authorization')
  return { ...asked, url: url.href, headers: Object.fromEntries(headers) }
}

/** Whoever is on the way would read a credential, and change what is fetched. */
function checkHttps(url: string): void {
  if (URL.canParse(url) && new URL(url).protocol === 'https:') return
  throw new DeployError('LFS_UNAVAILABLE', 'the LFS server names an address that is not https://')
}

/** Without a path and a query, which may be signed. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the LFS server'
}
