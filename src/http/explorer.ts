import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

const require = createRequire(import.meta.url)

/** Everything the explorer's page loads, by the name it loads it under. Nothing comes from another host. */
const FILES: Readonly<Record<string, [module: string, path: string]>> = {
  'react.js': ['react', 'umd/react.production.min.js'],
  'react-dom.js': ['react-dom', 'umd/react-dom.production.min.js'],
  'graphiql.js': ['graphiql', 'graphiql.min.js'],
  'graphiql.css': ['graphiql', 'graphiql.min.css'],
  'graphql-ws.js': ['graphql-ws', 'umd/graphql-ws.min.js'],
}

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  // GraphiQL sets styles of elements, and its fonts and icons are data: URLs.
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self' ws: wss:",
  "frame-ancestors 'none'",
].join('; ')

/** Sends GraphiQL's page. */
export type SendExplorer = (reply: FastifyReply) => FastifyReply

/**
 * Serves what GraphiQL's page loads, subscriptions included. The files are open, what the page asks needs the token.
 *
 * @returns what sends the page itself
 */
export async function serveExplorer(app: FastifyInstance): Promise<SendExplorer> {
  const root = join(dirname(require.resolve('../../../package.json')), 'web/explorer')
  const page = await readFile(join(root, 'index.html'), 'utf8')
  app.get<{ Params: { name: string } }>(
    '/graphql/assets/:name',
    { config: { open: true } },
    (request, reply) => {
      const { name } = request.params
      const file = Object.hasOwn(FILES, name) ? FILES[name] : undefined
      if (file) return sendFile(request, reply, { root: packageRoot(file[0]), path: file[1], maxAge: '1h' })
      if (name === 'explorer.js' || name === 'explorer.css')
        return sendFile(request, reply, { root, path: name, maxAge: 0 })
      return reply
        .code(404)
        .send({ error: { code: 'NOT_FOUND', message: `there is no ${name}`, field: null } })
    },
  )
  const headers = { 'content-security-policy': CONTENT_SECURITY_POLICY, 'referrer-policy': 'no-referrer' }
  return (reply) => reply.headers(headers).type('text/html; charset=utf-8').send(page)
}

/** Loaded at the first file that is asked for: @fastify/static around it brings glob along, a sixth of a server's start. */
async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  { path, ...options }: { readonly root: string; readonly path: string; readonly maxAge: string | number },
): Promise<FastifyReply> {
  const { default: send } = await import('@fastify/send')
  const { statusCode, headers, stream } = await send(request.raw, path, options)
  return reply.code(statusCode).headers(headers).send(stream)
}

function packageRoot(name: string): string {
  // Not `{name}/package.json`: graphql-ws does not export it.
  const found = require.resolve.paths(name)?.map((path) => join(path, name)) ?? []
  const root = found.find((path) => existsSync(join(path, 'package.json')))
  if (!root) throw new Error(`${name} is not installed: run npm ci`)
  return root
}
