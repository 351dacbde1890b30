import { createServer as createHttpServer } from 'node:http'
import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerFactory } from 'fastify'
import { ConnectionLimiter, refusalAnswer } from '../engine/routing/connection-limits.js'
import { TrustedProxies } from '../engine/http1/trusted-proxies.js'
import { MISSING_TOKEN, type TokenCheck } from './access.js'
import { allowOrigins } from './cors.js'
import { serveEntrance } from './entrance.js'
import { answerErrors, errorBody } from './errors.js'
import { serveExplorer } from './explorer.js'
import { serveGraphQL } from './graphql.js'
import { serveHealth } from './health.js'
import { serveOpenApi } from './openapi.js'
import { serveRest } from './rest.js'
import { serveRestCommands } from './rest-commands.js'
import { serveRestRuntimeLogs } from './rest-runtime-logs.js'
import type { ServerDependencies } from './server-dependencies.js'
import { serveSubscriptions } from './subscriptions.js'
import { serveWebhooks } from './webhooks.js'

export interface Server extends AsyncDisposable {
  /** Gives the URL that it answers at. */
  listen(host: string, port: number): Promise<string>
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token: always, or those requests that it says. */
    open?: boolean | ((request: FastifyRequest) => boolean)
  }
}

const MAX_BODY_BYTES = 1024 * 1024
const TIMES = {
  /** A connection that has not sent the head of a request by then is closed. */
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 72_000,
  connectionsCheckingInterval: 5_000,
}
/** Connections that are still busy this long after the stop began are cut. */
const DRAIN_MS = 2_000

/** Everything that the API role answers: GraphQL, subscriptions, explorer, REST, webhooks, health. */
export async function createServer(server: ServerDependencies): Promise<Server> {
  const { connections, logger, trustedProxies = [] } = server
  const proxies = new TrustedProxies(trustedProxies)
  const limiter = new ConnectionLimiter('API', { ...connections, proxies }, logger)
  const app = Fastify({
    ...{ bodyLimit: MAX_BODY_BYTES, forceCloseConnections: 'idle', serverFactory: limitedServers(limiter) },
    trustProxy: trustedProxies.length > 0 && [...trustedProxies],
  })
  await allowOrigins(app, server.corsOrigins)
  requireToken(app, server.isToken)
  answerErrors(app, server.logger)
  serveHealth(app, server)
  serveEntrance(app, server.schema)
  const apollo = await serveGraphQL(app, server, await serveExplorer(app))
  serveRest(app, server.api)
  serveRestCommands(app, server.api)
  serveRestRuntimeLogs(app, server.api)
  serveOpenApi(app)
  await serveWebhooks(app, server.api)
  const subscriptions = serveSubscriptions(app.server, server, limiter)
  return {
    listen: (host, port) => app.listen({ host, port }),
    async [Symbol.asyncDispose]() {
      await subscriptions[Symbol.asyncDispose]()
      const force = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS)
      await app.close()
      clearTimeout(force)
      await apollo.stop()
    },
  }
}

/** One for each address that a host name stands for; they share the limits. */
function limitedServers(limiter: ConnectionLimiter): FastifyServerFactory {
  return (handler) => {
    const http = createHttpServer(TIMES, (request, response) => {
      const why = limiter.whyRefused(request, response)
      if (why === null) return handler(request, response)
      response.writeHead(503, { connection: 'close', 'retry-after': '1', 'content-type': 'text/plain' })
      response.end(`Too many connections: ${why}. Try again shortly.\n`)
    })
    limiter.guard(http, { answer: refusalAnswer })
    return http
  }
}

/** Denied unless a route says that it is open: a route that is forgotten is closed. */
function requireToken(app: FastifyInstance, isToken: TokenCheck): void {
  app.addHook('onRequest', async (request, reply) => {
    const { open } = request.routeOptions.config
    if (open === true || (typeof open === 'function' && open(request))) return
    if (isToken(request.headers.authorization)) return
    const body = errorBody(request, { code: 'UNAUTHENTICATED', message: MISSING_TOKEN })
    await reply.code(401).header('www-authenticate', 'Bearer').send(body)
  })
}
