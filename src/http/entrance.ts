import type { FastifyInstance } from 'fastify'
import type { GraphQLSchema } from 'graphql'
import { VERSION } from '../engine/installation.js'
import { textOf } from '../resolvers/build-schema.js'

const EXPLORER = '/graphql'
/** What there is, for a program that has nothing but the address. */
const ADDRESSES = {
  name: 'Longshore',
  version: VERSION,
  graphql: EXPLORER,
  schema: '/graphql/schema',
  rest: '/api/v1/openapi.json',
  health: '/health',
  ready: '/ready',
}
const OPEN = { config: { open: true } } as const

/** Where somebody comes in who knows the address alone: a browser is sent on, a program is told the paths. */
export function serveEntrance(app: FastifyInstance, schema: GraphQLSchema): void {
  app.get('/', OPEN, async ({ headers }, reply) => {
    if (headers.accept?.includes('text/html')) return reply.redirect(EXPLORER)
    return reply.send(ADDRESSES)
  })
  let text: string | null = null
  // Open: it is the same for every installation of the version, and code generators send no token.
  app.get('/graphql/schema', OPEN, async (_request, reply) => {
    text ??= textOf(schema)
    return reply.type('text/plain; charset=utf-8').send(text)
  })
}
