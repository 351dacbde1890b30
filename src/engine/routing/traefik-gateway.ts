import { type IncomingMessage, request } from 'node:http'
import { isIPv6 } from 'node:net'
import { MAX_ROUTED_HEAD_BYTES } from '../http1/response-heads.js'
import { isResourceExhaustion, retryWhileExhausted } from '../resource-exhaustion.js'
import { stallTolerantTimeout } from '../stall-tolerant-timeout.js'
import type { ProbeRequest } from './router.js'
import { epochUrl, type Expected, MARK } from './traefik-dynamic.js'

const API_MS = 2_000
/** Traefik's own answers are short; of the API's only as much is read as can be of one service. */
const MAX_BODY_BYTES = 64 * 1024

/** In Traefik's own words: it has no router for the host, or did not get an answer from the container. */
const TRAEFIK_MESSAGES: Readonly<Record<number, readonly string[]>> = {
  404: ['404 page not found'],
  502: ['Bad Gateway'],
  503: ['Service Unavailable', 'no available server'],
  504: ['Gateway Timeout'],
}

interface Answer {
  readonly status: number
  readonly marked: boolean
  /** Where it sends to. */
  readonly location: string | undefined
  readonly body: string
}

/**
 * Null when a request to Traefik gets to a container: an answer that is not in Traefik's own words. An app that takes
 * longer than the time is slow, but was reached, as far as anybody can tell; unless its containers answer in time past
 * Traefik. Else what Traefik was asked, and what came back.
 *
 * @throws InfrastructureError OUT_OF_RESOURCES when this process lacked what it takes to ask, for 10 s
 */
export async function probeThrough(url: string, probe: ProbeRequest): Promise<string | null> {
  const asked = `GET ${probe.path} for host ${probe.host} at Traefik (TRAEFIK_URL ${url})`
  const answer = await retryWhileExhausted(() => ask(new URL(url), probe)).catch((error: unknown) => {
    if (isResourceExhaustion(error)) throw error
    return error as NodeJS.ErrnoException
  })
  if (answer instanceof Error) return `${asked} got no answer (${answer.code ?? answer.message})`
  if (answer === 'late')
    return (await containersAnswer(probe))
      ? `${asked} was not answered within ${probe.timeoutMs / 1000} s`
      : null
  if (answer.status === 404 && answer.marked) return null
  const words = answer.body.trim()
  if (!TRAEFIK_MESSAGES[answer.status]?.includes(words)) return null
  const meaning = answer.status === 404 ? ', which has no route for the host' : ''
  return `${asked} was answered ${answer.status} "${words}" by Traefik itself${meaning}`
}

/** Whether Traefik knows the host that stands for an epoch. No when it is away, or when something else answers for it. */
export async function servesHost(url: string, host: string): Promise<boolean> {
  const answer = await ask(new URL(url), { host, path: '/', timeoutMs: API_MS }).catch(() => 'late' as const)
  return answer !== 'late' && answer.location === epochUrl(host)
}

/** What an error says of who was asked, unless it says that nobody was. */
function unlessExhausted<T>(meaning: T): (error: unknown) => T {
  return (error) => {
    if (isResourceExhaustion(error)) throw error
    return meaning
  }
}

/** A Traefik that is on another network than the apps is not refused: bridges drop what it sends, and it waits. */
async function containersAnswer(probe: ProbeRequest): Promise<boolean> {
  const { addresses, port } = probe
  const urls = addresses.map(
    (address) => new URL(`http://${isIPv6(address) ? `[${address}]` : address}:${port}`),
  )
  const asked = urls.map((url) =>
    retryWhileExhausted(() => ask(url, probe)).catch(unlessExhausted('late' as const)),
  )
  const answers = await Promise.all(asked)
  return answers.length > 0 && !answers.includes('late')
}

/**
 * Whether Traefik's router and service are the expected ones, by its API. Null: the API is away. What Traefik has read
 * it takes over after `providers.providersThrottleDuration`: 2 s unless the operator says otherwise.
 */
export async function hasApplied(
  api: string,
  { router, service, servers }: Expected,
): Promise<boolean | null> {
  const [routerFound, serviceFound] = await Promise.all([
    find(api, `/api/http/routers/${router}@file`),
    find(api, `/api/http/services/${service}@file`),
  ])
  if (routerFound === 'away' || serviceFound === 'away') return null
  if (routerFound === 'none' || serviceFound === 'none') return false
  if (routerFound.status !== 'enabled' || serviceFound.status !== 'enabled') return false
  if (routerFound.service !== service && routerFound.service !== `${service}@file`) return false
  const urls = serviceFound.loadBalancer?.servers?.map(({ url }) => url) ?? []
  return urls.length === servers.length && servers.every((server) => urls.includes(server))
}

interface Found {
  readonly status?: string
  readonly service?: string
  readonly loadBalancer?: { readonly servers?: readonly { readonly url?: string }[] }
}

async function find(api: string, path: string): Promise<Found | 'none' | 'away'> {
  try {
    const answer = await ask(new URL(api), { path, timeoutMs: API_MS })
    if (answer === 'late') return 'away'
    if (answer.status === 404) return 'none'
    return answer.status === 200 ? (JSON.parse(answer.body) as Found) : 'away'
  } catch {
    return 'away'
  }
}

interface Question {
  readonly path: string
  readonly timeoutMs: number
  /** Where it is not the one of the URL. */
  readonly host?: string
}

/** `late`: connected, and no whole answer within the time. @throws when there is no connection, or it breaks */
function ask(url: URL, { path, timeoutMs, host }: Question): Promise<Answer | 'late'> {
  return new Promise((resolve, reject) => {
    const address = { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || 80 }
    const headers = host === undefined ? {} : { host }
    const asked = request({ ...address, path, headers, maxHeaderSize: MAX_ROUTED_HEAD_BYTES, agent: false })
    const stopWaiting = stallTolerantTimeout(timeoutMs, () => {
      const connected = asked.socket?.connecting === false
      asked.destroy()
      if (connected) resolve('late')
      else reject(new Error('no connection'))
    })
    const settle = <T>(then: (value: T) => void) => {
      return (value: T) => {
        stopWaiting()
        asked.destroy()
        then(value)
      }
    }
    asked.once('error', settle(reject))
    asked.once('response', (answer) => void read(answer).then(settle(resolve), settle(reject)))
    asked.end()
  })
}

async function read(answer: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    pieces.push(piece)
    bytes += piece.length
    if (bytes > MAX_BODY_BYTES) break
  }
  const body = Buffer.concat(pieces).toString('utf8')
  const { [MARK]: mark, location } = answer.headers
  return { status: answer.statusCode ?? 0, marked: mark !== undefined, location, body }
}
