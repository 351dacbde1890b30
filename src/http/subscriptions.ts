import type { IncomingMessage, Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import {
  createSourceEventStream,
  type ExecutionArgs,
  getOperationAST,
  GraphQLError,
  type GraphQLSchema,
  OperationTypeNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql'
import type { OperationResult, ServerOptions, SubscribePayload } from 'graphql-ws'
import { type Extra, useServer } from 'graphql-ws/use/ws'
import { type ServerOptions as SocketOptions, type WebSocket, WebSocketServer } from 'ws'
import { answerOn, asksForWebSocket, headWithoutOffer } from '../engine/http1/upgrade-offers.js'
import { type ConnectionLimiter, refusalAnswer } from '../engine/routing/connection-limits.js'
import { PullIterator } from '../engine/wakeups/pull-iterator.js'
import { createContext } from '../resolvers/request-context.js'
import { formatted } from '../resolvers/errors.js'
import { ClientConnection, type ConnectionTimes } from './fan-out/client-connection.js'
import { FanOut } from './fan-out/fan-out.js'
import type { Reader } from './fan-out/topic.js'
import { PARSE_OPTIONS, refusalOf, withinLimits } from './query-limits.js'
import type { ServerDependencies } from './server-dependencies.js'

const PATH = '/graphql'
/** The largest message that a client may send. */
const MAX_MESSAGE_BYTES = 64 * 1024
/** A client that does not answer a ping within this is cut. One that reads nothing is closed after `stallMs`. */
const TIMES: ConnectionTimes = { pingMs: 15_000, stallMs: 30_000 }
/** A client that has not shown the token by then is refused … */
const HELLO_MS = 5_000
/** … and cut, if it does not close the connection itself. */
const GOODBYE_MS = 2_000
const CLOSE_MS = 1_000
/** graphql-ws's own would cut who is still reading what came before the ping. */
const NO_PING = 0
const MAX_SUBSCRIPTIONS_PER_SOCKET = 100

/**
 * WebSocket /graphql: subscriptions by the graphql-transport-ws protocol, which is graphql-ws's affair but for the events:
 * these go from one reader to all who asked for the same, and a client that is slow slows nobody else.
 */
export function serveSubscriptions(
  http: HttpServer,
  dependencies: ServerDependencies,
  limiter: ConnectionLimiter,
): AsyncDisposable {
  const options: WithCloseTimeout = {
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    closeTimeout: GOODBYE_MS,
  }
  const sockets = new WebSocketServer(options)
  http.on('upgrade', (request, duplex, head) => {
    const socket = duplex as Socket
    if (!asksForWebSocket(request)) return answerPlainly(http, { request, socket, head })
    // Node.js has let go of it: without a listener a client that resets the connection would end the process.
    socket.on('error', () => socket.destroy())
    const why = limiter.whyRefused(request, socket)
    if (why !== null) return void socket.end(refusalAnswer(why), () => socket.destroy())
    if (request.url?.split('?')[0] !== PATH) return refuse(socket)
    sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request))
  })
  const connections = new WeakMap<WebSocket, ClientConnection>()
  sockets.on('connection', (client, request) => {
    const times = dependencies.connectionTimes ?? TIMES
    connections.set(client, new ClientConnection(client, request.socket, times))
  })
  const protocol = useServer(protocolOptions(dependencies, connections), sockets, NO_PING)
  return {
    async [Symbol.asyncDispose]() {
      const force = setTimeout(() => sockets.clients.forEach((client) => client.terminate()), CLOSE_MS)
      await protocol.dispose()
      clearTimeout(force)
    },
  }
}

/** A request to speak another protocol, and what came with it. */
interface UpgradeOffer {
  readonly request: IncomingMessage
  readonly socket: Socket
  readonly head: Buffer
}

/**
 * Any other offer, such as the `h2c` of curl and of Java's HTTP client, may be ignored: the connection begins anew with
 * the request as if it had made none.
 */
function answerPlainly(http: HttpServer, { request, socket, head }: UpgradeOffer): void {
  // A request before it on the connection is still being answered: nobody would keep the two answers apart.
  const response = answerOn(socket, request)
  if (!response) return void socket.destroy()
  response.detachSocket(socket)
  socket.unshift(Buffer.concat([headWithoutOffer(request), head]))
  http.emit('connection', socket)
}

/** Both directions end: no server counts this socket any more, so that nothing else would close what the client keeps. */
function refuse(socket: Socket): void {
  socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () =>
    socket.destroy(),
  )
}

/** Its types are older than it is. */
type WithCloseTimeout = SocketOptions & { readonly closeTimeout: number }
type Options = ServerOptions<Record<string, unknown>, Extra> & { readonly isProd: true }

function protocolOptions(
  { api, schema, isToken, logger }: ServerDependencies,
  connections: WeakMap<WebSocket, ClientConnection>,
): Options {
  const fanOut = new FanOut(logger)
  return {
    isProd: true,
    connectionInitWaitTimeout: HELLO_MS,
    context: () => createContext(api),
    onConnect: ({ connectionParams, extra }) =>
      isToken(extra.request.headers.authorization) || isToken(authorizationOf(connectionParams)),
    onSubscribe: ({ subscriptions }, _id, payload) => {
      // The library's own list, this one included: of those that it refuses nothing else says that they are over.
      if (Object.keys(subscriptions).length > MAX_SUBSCRIPTIONS_PER_SOCKET) return [tooMany()]
      return operationOf(schema, payload)
    },
    // Authorizes, and gives what the resolver reads from; what is made of each event is up to the fan-out.
    subscribe: (args) => createSourceEventStream(args) as OperationResult,
    onOperation: (...[{ extra }, id, { query }, args, source]) => {
      const connection = connections.get(extra.socket)
      if (!connection || !isReader(source)) return undefined
      return fanOut.follow(source, { id, connection, query, args, audience: 'admin' })
    },
    onError: (...[, , , errors]) => formatted(errors, logger),
    onNext: (...[, , , , result]) => {
      if (!result.errors) return undefined
      return { ...result, errors: formatted(result.errors, logger) }
    },
  }
}

function isReader(source: unknown): source is Reader {
  return source instanceof PullIterator
}

/** Header names are written in any case, and so are these. */
function authorizationOf(params: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const entry = Object.entries(params ?? {}).find(([name]) => name.toLowerCase() === 'authorization')
  return typeof entry?.[1] === 'string' ? entry[1] : undefined
}

/** What is to be carried out, or why not. */
function operationOf(schema: GraphQLSchema, payload: SubscribePayload): ExecutionArgs | GraphQLError[] {
  const { query, operationName, variables } = payload
  try {
    const document = parse(query, PARSE_OPTIONS)
    const operation = getOperationAST(document, operationName)
    if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) return [onlySubscriptions()]
    const errors = validate(schema, document, [withinLimits, ...specifiedRules])
    if (errors.length > 0) return [...errors]
    const refusal = refusalOf(schema, { document, operationName, variables })
    return refusal ? [refusal] : { schema, document, operationName, variableValues: variables }
  } catch (error) {
    if (error instanceof GraphQLError) return [error]
    throw error
  }
}

/** Queries and mutations go by POST, where errors are those of HTTP. */
function onlySubscriptions(): GraphQLError {
  return new GraphQLError(
    'only subscriptions are answered here: send queries and mutations by POST /graphql',
    {
      extensions: { code: 'BAD_USER_INPUT' },
    },
  )
}

function tooMany(): GraphQLError {
  return new GraphQLError(`at most ${MAX_SUBSCRIPTIONS_PER_SOCKET} subscriptions on one connection`, {
    extensions: { code: 'RATE_LIMITED' },
  })
}
