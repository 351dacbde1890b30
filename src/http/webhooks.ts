import type { FastifyInstance } from 'fastify'
import { WebhookVerdict } from '../entities/webhook-delivery.js'
import type { ApiDependencies } from '../resolvers/request-context.js'

const MAX_BODY_BYTES = 1024 * 1024
const NO_BODY = Buffer.alloc(0)

const error = (code: string, message: string) => ({ error: { code, message, field: null } })
/** The same for an app that is unknown, one without a secret and a signature that is wrong. */
const NOBODY = error('NOT_FOUND', 'there is no such webhook, or the request is not signed with its secret')
const BY_POST = 'this is a webhook: enter its address at your forge, which sends its deliveries by POST'
const TOO_MANY = error(
  'RATE_LIMITED',
  'more than 30 deliveries in a minute would have deployed: the branch is looked up in a minute',
)

/** POST /hooks/{appId}: what forges send. Open without the token; the signature over the raw body is what counts. */
export async function serveWebhooks(app: FastifyInstance, { commands }: ApiDependencies): Promise<void> {
  await app.register((hooks, _options, done) => {
    // The signature is made over the bytes: nothing may have read them before.
    hooks.removeAllContentTypeParsers()
    hooks.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body))
    hooks.post<{ Params: { appId: string }; Body: Buffer | undefined }>(
      '/hooks/:appId',
      { config: { open: true }, bodyLimit: MAX_BODY_BYTES },
      async ({ params, headers, body }, reply) => {
        const receipt = await commands.webhooks.receive(params.appId, headers, body ?? NO_BODY)
        if (receipt.kind === 'refused') return reply.code(404).send(NOBODY)
        if (receipt.kind === 'limited') return reply.code(429).header('retry-after', '60').send(TOO_MANY)
        const { id, verdict, reason, decisions } = receipt.delivery
        const isNew = receipt.kind === 'received'
        if (isNew && verdict === WebhookVerdict.UNREADABLE)
          return reply.code(400).send(error('BAD_USER_INPUT', reason))
        return reply.code(202).send({
          delivery: id,
          verdict: isNew ? verdict.toLowerCase() : 'duplicate',
          reason,
          deployments: [...new Set(decisions.flatMap(({ deploymentId }) => deploymentId ?? []))],
        })
      },
    )
    // Somebody looks whether it is there: to be asked for a token would be the wrong answer.
    hooks.get('/hooks/:appId', { config: { open: true } }, async (_request, reply) =>
      reply.code(405).header('allow', 'POST').send(error('BAD_USER_INPUT', BY_POST)),
    )
    done()
  })
}
