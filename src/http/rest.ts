import type { FastifyInstance, FastifyReply } from 'fastify'
import type { CreateAppCommand } from '../engine/commands/new-app.js'
import { badInput, checkAll, CommandError } from '../engine/command-error.js'
import { MAX_PAGE } from '../engine/queries.js'
import { refuseNul } from '../resolvers/errors.js'
import type { ApiDependencies } from '../resolvers/request-context.js'
import { BodyFields } from './rest-body.js'
import { appJson, deploymentJson } from './rest-json.js'
import { serveRestLogs } from './rest-logs.js'

interface ListQuery {
  readonly limit?: string
  readonly after?: string
}

/** /api/v1: the same commands and queries as GraphQL, for whoever has nothing but HTTP. */
export function serveRest(app: FastifyInstance, dependencies: ApiDependencies): void {
  const { commands, queries, address } = dependencies
  app.addHook('preHandler', ({ params, query, routeOptions }, _reply, done) => {
    if (routeOptions.url?.startsWith('/api/')) refuseNul({ ...(params as object), ...(query as object) })
    done()
  })

  app.get<{ Querystring: ListQuery }>('/api/v1/apps', async (request, reply) => {
    const page = await queries.apps(limitOf(request.query, 50), request.query.after ?? null)
    setNextCursor(reply, page)
    return page.rows.map((row) => appJson(row, address))
  })

  app.post('/api/v1/apps', async (request, reply) => {
    const created = await commands.apps.create(createCommand(request.body))
    return reply.code(201).send(appJson(created, address))
  })

  app.get<{ Params: { id: string } }>('/api/v1/apps/:id', async (request) => {
    return appJson(await appOf(dependencies, request.params.id), address)
  })

  app.delete<{ Params: { id: string } }>('/api/v1/apps/:id', async (request, reply) => {
    const { id } = request.params
    if (!(await commands.apps.delete(id))) throw new CommandError('NOT_FOUND', `there is no app ${id}`, 'id')
    return reply.code(204).send()
  })

  app.get<{ Params: { id: string }; Querystring: ListQuery }>(
    '/api/v1/apps/:id/deployments',
    async (request, reply) => {
      const owner = await appOf(dependencies, request.params.id)
      const limit = limitOf(request.query, 20)
      const page = await queries.deployments(limit, request.query.after ?? null, { appId: owner.id })
      setNextCursor(reply, page)
      return page.rows.map((row) => deploymentJson(row, owner, address))
    },
  )

  serveRestLogs(app, dependencies)

  app.get<{ Params: { id: string } }>('/api/v1/deployments/:id', async (request) => {
    const { id } = request.params
    const deployment = await queries.deployment(id)
    if (!deployment) throw new CommandError('NOT_FOUND', `there is no deployment ${id}`, 'id')
    return deploymentJson(deployment, await appOf(dependencies, deployment.appId), address)
  })
}

/** @throws CommandError NOT_FOUND */
export async function appOf({ queries }: ApiDependencies, id: string) {
  const app = await queries.app({ id })
  if (!app) throw new CommandError('NOT_FOUND', `there is no app ${id}`, 'id')
  return app
}

function limitOf({ limit }: ListQuery, fallback: number): number {
  if (limit === undefined) return fallback
  const number = /^\d{1,4}$/.test(limit) ? Number(limit) : 0
  if (number < 1 || number > MAX_PAGE) throw badInput('limit', `must be a whole number from 1 to ${MAX_PAGE}`)
  return number
}

/** The page behind this one: the list itself stays a plain array. */
function setNextCursor<T>(
  reply: FastifyReply,
  page: { rows: T[]; hasNextPage: boolean; cursor: (row: T) => string },
) {
  const last = page.rows.at(-1)
  if (page.hasNextPage && last !== undefined) reply.header('x-next-cursor', page.cursor(last))
}

const APP_FIELDS = [
  ...['name', 'repo_url', 'branch', 'dockerfile_path', 'context_path', 'target', 'build_args', 'platform'],
  ...['port', 'variables', 'deploy', 'idempotency_key'],
]

function createCommand(body: unknown): CreateAppCommand {
  const fields = new BodyFields(body, APP_FIELDS)
  return checkAll({
    name: () => fields.required('name'),
    repoUrl: () => fields.required('repo_url'),
    branch: () => fields.text('branch'),
    dockerfilePath: () => fields.text('dockerfile_path'),
    contextPath: () => fields.text('context_path'),
    target: () => fields.text('target'),
    buildArgs: () => fields.pairs('build_args'),
    platform: () => fields.text('platform'),
    port: () => fields.number('port'),
    variables: () => fields.pairs('variables'),
    deploy: () => fields.flag('deploy', true),
    idempotencyKey: () => fields.text('idempotency_key'),
  })
}
