import type { FastifyInstance, FastifyRequest } from 'fastify'
import { CommandError } from '../engine/command-error.js'
import { encodePlaces } from '../engine/runtime-logs/cursor.js'
import { MAX_TAIL, openRuntimeLog, type RuntimeLogReader } from '../engine/runtime-logs/reader.js'
import type { ApiDependencies } from '../resolvers/request-context.js'
import { eventOf, EVENTS, sendEvents, sendText, wholeNumber } from './log-streams.js'

const DEFAULT_TAIL = '100'

type LogRequest = FastifyRequest<{
  Params: { id: string }
  Querystring: { readonly tail?: string; readonly after?: string }
}>

/**
 * GET /api/v1/stages/{id}/logs: what the stage's running containers write, the last lines first, for as long as the client
 * reads. Text, or events whose ids resume them.
 */
export function serveRestRuntimeLogs(app: FastifyInstance, { queries, wakeups }: ApiDependencies): void {
  const options = { exposeHeadRoute: false }
  app.get('/api/v1/stages/:id/logs', options, async (request: LogRequest, reply) => {
    const { params, query, headers } = request
    const tail = wholeNumber('tail', query.tail ?? DEFAULT_TAIL, MAX_TAIL)
    const last = headers['last-event-id']
    const after = typeof last === 'string' ? last : (query.after ?? null)
    const source = { database: queries.database, wakeups }
    const reader = await openRuntimeLog(source, params.id, { tail, after })
    if (headers.accept?.includes(EVENTS)) return sendEvents(reply, reader, eventsOf(reader))
    return sendText(reply, reader, textOf(reader))
  })
}

async function* textOf(reader: RuntimeLogReader): AsyncGenerator<string> {
  for await (const entry of reader) {
    if (entry instanceof CommandError) return
    yield entry.text
  }
}

async function* eventsOf(reader: RuntimeLogReader): AsyncGenerator<string> {
  for await (const entry of reader) {
    if (entry instanceof CommandError) return // the client comes back with the last id
    yield eventOf(encodePlaces(entry.places), entry.text)
  }
}
