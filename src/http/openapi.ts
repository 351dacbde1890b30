import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'

const FILE = join(
  dirname(createRequire(import.meta.url).resolve('../../../package.json')),
  'web/openapi.json',
)

/** GET /api/v1/openapi.json: what REST there is, for generators and people. Open, as the GraphQL schema is. */
export function serveOpenApi(app: FastifyInstance): void {
  app.get('/api/v1/openapi.json', { config: { open: true } }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(await readFile(FILE)),
  )
}
