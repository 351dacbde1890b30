import type { FastifyInstance, FastifyRequest } from 'fastify'
import { checkAll, CommandError } from '../engine/command-error.js'
import type { ApiDependencies } from '../resolvers/request-context.js'
import { BodyFields, pairsOf } from './rest-body.js'
import { deploymentJson, variableJson } from './rest-json.js'
import { appOf } from './rest.js'

interface OfApp {
  readonly Params: { readonly id: string }
  readonly Querystring: { readonly stage?: string }
}

/** What CI asks for: deploy, cancel, roll back, set variables. The same commands as those of GraphQL. */
export function serveRestCommands(app: FastifyInstance, api: ApiDependencies): void {
  const { commands, address } = api

  app.post<OfApp>('/api/v1/apps/:id/deployments', async (request, reply) => {
    const fields = new BodyFields(request.body ?? {}, ['stage', 'ref', 'no_cache', 'idempotency_key'])
    const command = checkAll({
      stage: () => fields.text('stage'),
      ref: () => fields.text('ref'),
      noCache: () => fields.flag('no_cache', false),
      idempotencyKey: () => fields.text('idempotency_key') ?? keyOf(request),
    })
    const owner = await appOf(api, request.params.id)
    const deployment = await commands.deployments.deploy(owner.id, command)
    return reply.code(201).send(deploymentJson(deployment, owner, address))
  })

  app.post<OfApp>('/api/v1/apps/:id/rollback', async (request, reply) => {
    const fields = new BodyFields(request.body ?? {}, ['stage', 'to_deployment_id', 'idempotency_key'])
    const command = checkAll({
      stage: () => fields.text('stage'),
      toDeploymentId: () => fields.text('to_deployment_id'),
      idempotencyKey: () => fields.text('idempotency_key') ?? keyOf(request),
    })
    const owner = await appOf(api, request.params.id)
    const deployment = await commands.releases.rollback(owner.id, command)
    return reply.code(201).send(deploymentJson(deployment, owner, address))
  })

  app.post<OfApp>('/api/v1/deployments/:id/cancel', async (request) => {
    const deployment = await commands.deployments.cancel(request.params.id)
    return deploymentJson(deployment, await appOf(api, deployment.appId), address)
  })

  serveVariables(app, api)
}

/** Of the stage that `?stage=` names; production. Values are set and never shown. */
function serveVariables(app: FastifyInstance, api: ApiDependencies): void {
  const PATH = '/api/v1/apps/:id/variables'
  const listed = async (stageId: string) => (await api.queries.variablesOfStages([stageId])).map(variableJson)

  app.get<OfApp>(PATH, async (request) => listed(await stageOf(api, request)))

  app.put<OfApp>(PATH, async (request) => {
    const stageId = await stageOf(api, request)
    await api.commands.variables.set(stageId, pairsOf(request.body, 'variables'), true)
    return listed(stageId)
  })

  app.patch<OfApp>(PATH, async (request) => {
    const stageId = await stageOf(api, request)
    await api.commands.variables.set(stageId, pairsOf(request.body, 'variables'))
    return listed(stageId)
  })

  app.delete<{ Params: { id: string; key: string }; Querystring: OfApp['Querystring'] }>(
    `${PATH}/:key`,
    async (request, reply) => {
      await api.commands.variables.unset(await stageOf(api, request), [request.params.key])
      return reply.code(204).send()
    },
  )
}

async function stageOf(
  api: ApiDependencies,
  { params, query }: Pick<FastifyRequest<OfApp>, 'params' | 'query'>,
): Promise<string> {
  const owner = await appOf(api, params.id)
  const name = query.stage ?? 'production'
  const stage = (await api.queries.stagesOfApps([owner.id])).find((one) => one.name === name)
  if (!stage) throw new CommandError('NOT_FOUND', `the app has no stage "${name}"`, 'stage')
  return stage.id
}

/** As payment APIs and many clients send it. */
function keyOf({ headers }: FastifyRequest): string | null {
  const key = headers['idempotency-key']
  return typeof key === 'string' ? key : null
}
