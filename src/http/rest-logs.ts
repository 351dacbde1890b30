import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { badInput, CommandError } from '../engine/command-error.js'
import { eventOf, EVENTS, sendEvents, sendText, wholeNumber } from './log-streams.js'
import { LogReader } from '../engine/logs/reader.js'
import { type LogEnd, readPage } from '../engine/logs/store.js'
import { type LogTail, readTail } from '../engine/logs/tail.js'
import type { ApiDependencies } from '../resolvers/request-context.js'
import { PAGE_CHUNKS } from '../engine/logs/hub.js'
import { MAX_TAIL } from '../engine/runtime-logs/reader.js'

/** The last seq that a log can have. */
const MAX_SEQ = 2 ** 31 - 1

/** What is stored ends by itself. */
const NOTHING = { return: () => undefined }

interface LogQuery {
  readonly after?: string
  readonly tail?: string
  readonly follow?: string
}
type LogRequest = FastifyRequest<{ Params: { id: string }; Querystring: LogQuery }>

/**
 * GET /api/v1/deployments/{id}/logs, for programs without GraphQL: `curl -N …?follow=1` shows a log until it ends. Text, or
 * events (`Accept: text/event-stream`) whose ids resume them. A client that stops reading holds one page.
 */
export function serveRestLogs(app: FastifyInstance, api: ApiDependencies): void {
  // A HEAD would be carried out like a GET, and read the log to its end.
  const options = { exposeHeadRoute: false }
  app.get('/api/v1/deployments/:id/logs', options, async (request: LogRequest, reply) => {
    const { id } = request.params
    if (!(await api.queries.deployment(id))) {
      throw new CommandError('NOT_FOUND', `there is no deployment ${id}`, 'id')
    }
    const place = placeOf(request)
    const isFollowed = followOf(request.query)
    const log = { id, ...place, ...api, end: await endOf(id, api) }
    if (request.headers.accept?.includes(EVENTS)) return sendLogEvents(reply, log)
    if (log.end) void reply.headers(headersOf(log.end))
    if (log.end && request.headers['if-none-match'] === reply.getHeader('etag')) return reply.code(304).send()
    if (isFollowed) return sendFollowed(reply, log)
    return sendText(reply, NOTHING, storedText(log))
  })
}

interface Place {
  /** The last seq that the client has. */
  readonly after: number
  /** Or so many of the last lines. */
  readonly tail: number | null
  /** It comes back after a lost connection, with the id of the last event that it has got. */
  readonly isResumed: boolean
}

interface AskedLog extends Place, Pick<ApiDependencies, 'hub' | 'queries'> {
  /** Of its deployment. */
  readonly id: string
  /** How it has ended; null: it goes on. */
  readonly end: LogEnd | null
}

function placeOf({ query, headers }: LogRequest): Place {
  const last = headers['last-event-id']
  if (typeof last === 'string') {
    return { after: wholeNumber('Last-Event-ID', last, MAX_SEQ), tail: null, isResumed: true }
  }
  if (query.after !== undefined && query.tail !== undefined)
    throw badInput('tail', 'give either after or tail')
  const after = wholeNumber('after', query.after ?? '0', MAX_SEQ)
  const tail = query.tail === undefined ? null : wholeNumber('tail', query.tail, MAX_TAIL)
  return { after, tail, isResumed: false }
}

function followOf({ follow = '0' }: LogQuery): boolean {
  if (!['0', '1', 'false', 'true'].includes(follow)) throw badInput('follow', 'must be 1 or 0')
  return follow === '1' || follow === 'true'
}

async function endOf(id: string, { queries }: ApiDependencies): Promise<LogEnd | null> {
  const page = await readPage(queries.database, id, { after: MAX_SEQ, limit: 1 })
  return page?.end ?? null
}

/** A log that has ended does not change any more. */
function headersOf({ lastSeq, status }: LogEnd) {
  return { etag: `"${lastSeq}-${status}"`, 'x-longshore-status': status.toLowerCase() }
}

async function* storedText({ id, queries: { database }, ...place }: AskedLog): AsyncGenerator<string> {
  if (place.tail !== null) {
    const { text } = await readTail(database, id, place.tail)
    if (text !== '') yield text
    return
  }
  for (let { after } = place; ;) {
    const page = await readPage(database, id, { after, limit: PAGE_CHUNKS })
    if (!page || page.chunks.length === 0) return
    for (const { text } of page.chunks) yield text
    after = page.chunks.at(-1)?.seq ?? after
  }
}

async function sendFollowed(reply: FastifyReply, log: AskedLog): Promise<FastifyReply> {
  const { start, reader } = await follow(log)
  return sendText(reply, reader, followedText(start, reader))
}

async function* followedText(start: LogTail | null, reader: LogReader): AsyncGenerator<string> {
  if (start && start.text !== '') yield start.text
  for await (const { text } of reader) if (text !== '') yield text
}

/** An event for each chunk, its seq as the id, then `end`. 204 tells an EventSource that has seen the end not to come back. */
async function sendLogEvents(reply: FastifyReply, log: AskedLog): Promise<FastifyReply> {
  if (log.isResumed && log.end && log.after >= log.end.lastSeq) return reply.code(204).send()
  const { start, reader } = await follow(log)
  return sendEvents(reply, reader, eventsOf(start, reader))
}

async function* eventsOf(start: LogTail | null, reader: LogReader): AsyncGenerator<string> {
  if (start && start.text !== '') yield eventOf(start.lastSeq, start.text)
  for await (const { seq, text, end } of reader) {
    if (text !== '') yield eventOf(seq, text)
    if (end) yield `event: end\nid: ${seq}\ndata: ${JSON.stringify(endJson(end))}\n\n`
  }
}

function endJson({ status, lastSeq, bytes, omittedBytes, clipped }: LogEnd) {
  const counts = { last_seq: lastSeq, bytes, omitted_bytes: omittedBytes, clipped }
  return { status: status.toLowerCase(), ...counts }
}

async function follow({ id, hub, queries, after, tail }: AskedLog) {
  const start = tail === null ? null : await readTail(queries.database, id, tail)
  return { start, reader: new LogReader(hub, id, start?.lastSeq ?? after) }
}
