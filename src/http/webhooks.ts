import type { FastifyInstance, FastifyReply } from 'fastify'
import { Readable } from 'node:stream'
import type { Receipt } from '../engine/commands/webhooks.js'
import { WebhookVerdict } from '../entities/webhook-delivery.js'
import type { ApiDependencies } from '../resolvers/request-context.js'
import { type UnreadBody, WebhookBodies } from './webhook-bodies.js'

const NO_BODY = Buffer.alloc(0)

const error = (code: string, message: string) => ({ error: { code, message, field: null } })
/** The same for an app that is unknown, one without a secret and a signature that is wrong. */
const NOBODY = error('NOT_FOUND', 'there is no such webhook, or the request is not signed with its secret')
const BY_POST = 'this is a webhook: enter its address at your forge, which sends its deliveries by POST'
const TOO_MANY = error(
  'RATE_LIMITED',
  'more than 30 deliveries in a minute would have deployed: the branch is looked up in a minute',
)

/** What is answered where a body was not read, and what the log says. */
const UNREAD = {
  'too-large': { status: 413, code: 'BAD_USER_INPUT', reason: 'its body is over 25 MiB' },
  busy: {
    status: 503,
    code: 'RATE_LIMITED',
    reason: 'other large deliveries were being read: the repository is looked up in a minute',
  },
  unfinished: { status: 408, code: 'BAD_USER_INPUT', reason: 'its body did not arrive in time' },
} as const

/** POST /hooks/{appId}: what forges send. Open without the token; the signature over the raw body is what counts. */
export async function serveWebhooks(app: FastifyInstance, { commands }: ApiDependencies): Promise<void> {
  await app.register((hooks, _options, done) => {
    // The signature is made over the bytes: nothing may have read them before.
    hooks.removeAllContentTypeParsers()
    hooks.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload))
    const bodies = new WebhookBodies((appId) => commands.webhooks.isHooked(appId))
    hooks.post<{ Params: { appId: string }; Body: Readable | undefined }>(
      '/hooks/:appId',
      { config: { open: true } },
      async ({ params: { appId }, headers, body }, reply) => {
        const length = headers['content-length'] === undefined ? null : Number(headers['content-length'])
        const payload = body ?? Readable.from([NO_BODY])
        const receipt = await bodies.read({ appId, payload, length }, (whole) =>
          commands.webhooks.receive(appId, headers, whole),
        )
        if (isUnread(receipt)) {
          // Not waited for: an app that is not there would be known by it.
          void commands.webhooks
            .refuseUnread(appId, headers, UNREAD[receipt.kind].reason)
            .catch(() => undefined)
          return answerUnread(reply, receipt)
        }
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

function isUnread(receipt: Receipt | UnreadBody): receipt is UnreadBody {
  return receipt.kind in UNREAD
}

function answerUnread(reply: FastifyReply, { kind }: UnreadBody): FastifyReply {
  const { status, code, reason } = UNREAD[kind]
  if (status === 503) void reply.header('retry-after', '10')
  // The rest of the body is not read.
  return reply.code(status).header('connection', 'close').send(error(code, reason))
}
