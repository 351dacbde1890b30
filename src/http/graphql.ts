import { ApolloServer, type ApolloServerPlugin } from '@apollo/server'
import { ApolloServerPluginCacheControlDisabled } from '@apollo/server/plugin/disabled'
import { fastifyApolloHandler } from '@as-integrations/fastify'
import type { FastifyInstance } from 'fastify'
import { GraphQLError, OperationTypeNode } from 'graphql'
import { createContext, type RequestContext } from '../resolvers/request-context.js'
import { nameField } from '../resolvers/errors.js'
import type { ServerParts } from './server-parts.js'

/** POST /graphql: queries and mutations. */
export async function serveGraphQL(
  app: FastifyInstance,
  { parts, schema }: ServerParts,
): Promise<ApolloServer<RequestContext>> {
  const apollo = new ApolloServer<RequestContext>({
    schema,
    introspection: true,
    csrfPrevention: true,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    formatError: nameField,
    // It computes hints per field that no cache here reads: measured 1.5 times the time of a list query.
    plugins: [ApolloServerPluginCacheControlDisabled(), refuseSubscriptions],
  })
  await apollo.start()
  app.post('/graphql', fastifyApolloHandler(apollo, { context: () => Promise.resolve(createContext(parts)) }))
  return apollo
}

const refuseSubscriptions: ApolloServerPlugin<RequestContext> = {
  requestDidStart: () =>
    Promise.resolve({
      didResolveOperation({ operation }) {
        if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) return Promise.resolve()
        throw new GraphQLError(
          'subscriptions are answered over a WebSocket at /graphql (graphql-transport-ws), not by POST',
          { extensions: { code: 'BAD_USER_INPUT' } },
        )
      },
    }),
}
