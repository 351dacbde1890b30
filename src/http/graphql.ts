import { ApolloServer, type ApolloServerPlugin } from '@apollo/server'
import { ApolloServerPluginCacheControlDisabled } from '@apollo/server/plugin/disabled'
import { fastifyApolloHandler } from '@as-integrations/fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { GraphQLError, OperationTypeNode } from 'graphql'
import { createContext, type RequestContext } from '../resolvers/request-context.js'
import { listable, nameField } from '../resolvers/errors.js'
import type { SendExplorer } from './explorer.js'
import { PARSE_OPTIONS, refusalOf, withinLimits } from './query-limits.js'
import type { ServerDependencies } from './server-dependencies.js'

/** Queries and mutations at POST /graphql, queries at GET too; a GET that asks for nothing gets the explorer's page. */
export async function serveGraphQL(
  app: FastifyInstance,
  { api, schema }: ServerDependencies,
  sendExplorer: SendExplorer,
): Promise<ApolloServer<RequestContext>> {
  const apollo = new ApolloServer<RequestContext>({
    schema,
    introspection: true,
    // No page of another origin can send the token without having asked whether it may (CORS).
    csrfPrevention: { requestHeaders: ['authorization', 'apollo-require-preflight'] },
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    formatError: nameField,
    parseOptions: PARSE_OPTIONS,
    validationRules: [withinLimits],
    allowBatchedHttpRequests: false,
    // It computes hints per field that no cache here reads: measured 1.5 times the time of a list query.
    plugins: [ApolloServerPluginCacheControlDisabled(), refuseSubscriptions, keepToLimits],
  })
  await apollo.start()
  const execute = fastifyApolloHandler(apollo, { context: () => Promise.resolve(createContext(api)) })
  app.post('/graphql', execute)
  app.get('/graphql', { config: { open: wantsPage } }, function (request, reply) {
    return wantsPage(request) ? sendExplorer(reply) : execute.call(this, request, reply)
  })
  return apollo
}

/** A program names its query, or the kind of answer that it reads. */
function wantsPage({ query, headers: { accept = '' } }: FastifyRequest): boolean {
  const asks = Object.hasOwn(query as object, 'query') || accept.includes('json')
  return !asks || accept.includes('text/html')
}

const refuseSubscriptions: ApolloServerPlugin<RequestContext> = {
  requestDidStart: () =>
    Promise.resolve({
      didResolveOperation({ operation }) {
        if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) return Promise.resolve()
        throw badRequest(
          new GraphQLError('subscriptions need a WebSocket at /graphql (graphql-transport-ws), not POST', {
            extensions: { code: 'BAD_USER_INPUT' },
          }),
        )
      },
    }),
}

const keepToLimits: ApolloServerPlugin<RequestContext> = {
  requestDidStart: () =>
    Promise.resolve({
      didResolveOperation({ schema, document, request: { operationName, variables } }) {
        const refusal = refusalOf(schema, { document, operationName, variables })
        if (refusal) throw badRequest(refusal)
        return Promise.resolve()
      },
      willSendResponse({ response: { body } }) {
        if (body.kind === 'single' && body.singleResult.errors) {
          body.singleResult.errors = listable(body.singleResult.errors)
        }
        return Promise.resolve()
      },
    }),
}

/** Of an error that a plugin throws Apollo Server thinks that it is the server's. */
function badRequest(error: GraphQLError): GraphQLError {
  const { message, nodes, extensions } = error
  return new GraphQLError(message, { nodes, extensions: { ...extensions, http: { status: 400 } } })
}
