import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { tokenize } from './rules.js'

/** Something that routes as Traefik does. */
export interface Gateway extends AsyncDisposable {
  /** Its entry point `web`. */
  readonly port: number
  readonly api: string
}

/** What a provider gives Traefik, as far as Longshore writes it. */
export interface Dynamic {
  readonly routers?: Record<
    string,
    { rule: string; service: string; entryPoints: string[]; middlewares?: string[] }
  >
  readonly services?: Record<string, { loadBalancer: { servers: { url: string }[] } }>
  readonly middlewares?: Record<
    string,
    {
      headers?: { customResponseHeaders: Record<string, string> }
      redirectRegex?: { regex: string; replacement: string }
      redirectScheme?: { scheme: string }
      retry?: { attempts: number; initialIntervalMs: number }
    }
  >
}

/** See {@link startStandIn}. */
export interface StandIn extends Gateway {
  /** From the first look at which it has a router for the host it follows the files no more: it has hung up. */
  stopFollowingAt(host: string): void
  /** What it serves at the host stays as it was when this was called, with all else, until {@link follow}. */
  lagAt(host: string): void
  follow(): void
  /** It is on no network that the apps are on: what it sends to them is lost, and it waits. */
  isCutOff: boolean
}

/**
 * A stand-in that reads the files as Traefik's documentation has it, as far as Longshore writes them: where there is no
 * Traefik it shows that they say what they should. That Traefik reads them so only Traefik can show.
 */
export async function startStandIn(folder: string): Promise<StandIn> {
  let last: string | null = null
  let kept: Dynamic | null = null
  let lags: string | null = null
  let taken: Dynamic = {}
  const read = () => {
    const dynamic = kept ?? readFolder(folder)
    if (last !== null && hasHost(dynamic, last)) kept = dynamic
    if (lags === null || serviceAt(dynamic, lags) === serviceAt(taken, lags)) taken = dynamic
    return taken
  }
  const isCutOff = () => standIn.isCutOff
  const gateway = await serve(read, isCutOff)
  const standIn: StandIn = {
    ...gateway,
    isCutOff: false,
    stopFollowingAt: (host) => (last = host),
    lagAt(host) {
      read()
      lags = host
    },
    follow: () => (lags = null),
  }
  return standIn
}

/** A gateway that routes, and answers its API, by what is read for each request. */
export async function serve(read: () => Dynamic, isCutOff = () => false): Promise<Gateway> {
  const web = createServer((incoming, response) => {
    if (!isCutOff()) route(read(), incoming, response)
  })
  const api = createServer((incoming, response) => answerApi(read(), incoming, response))
  const [port, apiPort] = [await listen(web), await listen(api)]
  return {
    port,
    api: `http://127.0.0.1:${apiPort}`,
    async [Symbol.asyncDispose]() {
      for (const server of [web, api]) {
        const closed = new Promise((resolve) => server.close(resolve))
        server.closeAllConnections()
        await closed
      }
    },
  }
}

/** One broken file fails the whole folder, and so does an empty map. */
function readFolder(folder: string): Dynamic {
  const files = readdirSync(folder).filter((name) => /\.(ya?ml|toml)$/.test(name))
  const parts = files.map((name) => {
    const text = readFileSync(join(folder, name), 'utf8')
    if (text.includes('{{')) throw new Error(`${name} is a template`)
    const { http } = JSON.parse(text.replace(/^#.*\n/, '')) as { http: Dynamic }
    for (const map of Object.values(http) as object[]) {
      if (Object.keys(map).length === 0) throw new Error(`${name}: a standalone element`)
    }
    return http
  })
  return {
    routers: Object.assign({}, ...parts.map(({ routers }) => routers)) as Required<Dynamic>['routers'],
    services: Object.assign({}, ...parts.map(({ services }) => services)) as Required<Dynamic>['services'],
    middlewares: Object.assign(
      {},
      ...parts.map(({ middlewares }) => middlewares),
    ) as Required<Dynamic>['middlewares'],
  }
}

function hasHost(dynamic: Dynamic, host: string): boolean {
  return serviceAt(dynamic, host) !== undefined
}

function serviceAt({ routers }: Dynamic, host: string): string | undefined {
  return Object.values(routers ?? {}).find(({ rule }) => tokenize(rule).matchers[0]?.args[0] === host)
    ?.service
}

/** As Traefik's dialTimeout, but shorter: of a container that has just gone nothing comes back. */
const DIAL_MS = 1_000

let turn = 0

function route(dynamic: Dynamic, incoming: IncomingMessage, response: ServerResponse): void {
  const asked = incoming.headers.host ?? ''
  const host = asked.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
  const found = Object.values(dynamic.routers ?? {}).find(
    ({ rule, entryPoints }) => entryPoints.includes('web') && tokenize(rule).matchers[0]?.args[0] === host,
  )
  if (!found) return void response.writeHead(404).end('404 page not found\n')
  for (const name of found.middlewares ?? []) {
    const { headers, redirectRegex, redirectScheme } = dynamic.middlewares?.[name] ?? {}
    for (const [key, value] of Object.entries(headers?.customResponseHeaders ?? {}))
      response.setHeader(key, value)
    const url = `http://${asked}${incoming.url ?? '/'}`
    const location = redirectRegex
      ? url.replace(new RegExp(redirectRegex.regex), redirectRegex.replacement.replace(/\$\{(\d)\}/g, '$$$1'))
      : redirectScheme && url.replace('http', redirectScheme.scheme)
    if (location) return void response.writeHead(301, { location }).end('Moved Permanently')
  }
  const servers = dynamic.services?.[found.service]?.loadBalancer.servers ?? []
  const retry = found.middlewares?.map((name) => dynamic.middlewares?.[name]?.retry).find(Boolean)
  forward(servers, retry ?? { attempts: 1, initialIntervalMs: 0 }, incoming, response)
}

/** To a server after the other, until one takes the connection: what has been sent is not sent again. */
function forward(
  servers: readonly { url: string }[],
  { attempts, initialIntervalMs }: { attempts: number; initialIntervalMs: number },
  incoming: IncomingMessage,
  response: ServerResponse,
): void {
  const server = servers[turn++ % Math.max(servers.length, 1)]
  if (!server) return void response.writeHead(503).end('no available server\n')
  let connected = false
  const outgoing = request(
    new URL(incoming.url ?? '/', server.url),
    { method: incoming.method, headers: incoming.headers, agent: false, timeout: DIAL_MS },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    },
  )
  outgoing.once('socket', (socket) =>
    socket.once('connect', () => {
      connected = true
      socket.setTimeout(0)
      incoming.pipe(outgoing)
    }),
  )
  outgoing.once('timeout', () => outgoing.destroy())
  outgoing.once('error', () => {
    if (connected || attempts === 1) return void response.writeHead(502).end('Bad Gateway')
    const left = { attempts: attempts - 1, initialIntervalMs }
    setTimeout(() => forward(servers, left, incoming, response), initialIntervalMs)
  })
}

function answerApi(dynamic: Dynamic, incoming: IncomingMessage, response: ServerResponse): void {
  const [, kind, name = ''] = /^\/api\/http\/(routers|services)\/([^/]+)@file$/.exec(incoming.url ?? '') ?? []
  const found = kind === 'routers' ? dynamic.routers?.[name] : dynamic.services?.[name]
  if (!found) return void response.writeHead(404).end('{"message":"not found"}')
  response.end(JSON.stringify({ ...found, status: 'enabled', provider: 'file' }))
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
