import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { badInput } from '../engine/command-error.js'

/** The type of server-sent events, as EventSource asks for it. */
export const EVENTS = 'text/event-stream'
export const BYTES = { objectMode: false } as const
/** Of the format of events: clients pass it over. */
const COMMENT = ':\n\n'
/** Proxies cut connections that are silent for a minute. */
const KEEP_ALIVE_MS = 15_000

/** Something that is followed until it ends or is given up. */
interface Follower {
  return(): unknown
}

/** @throws CommandError BAD_USER_INPUT for anything but a whole number from 0 to `max` */
export function wholeNumber(field: string, text: string, max: number): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Infinity
  if (number > max) throw badInput(field, `must be a whole number from 0 to ${max}`)
  return number
}

/** Sends pieces of text as they come. */
export function sendText(
  reply: FastifyReply,
  follower: Follower,
  pieces: AsyncGenerator<string>,
): FastifyReply {
  void reply.type('text/plain; charset=utf-8').header('x-content-type-options', 'nosniff')
  return reply.send(streamOf(reply, follower, pieces))
}

/** Sends events as they come, and a comment now and then. */
export function sendEvents(
  reply: FastifyReply,
  follower: Follower,
  events: AsyncGenerator<string>,
): FastifyReply {
  const stream = streamOf(reply, follower, withHead(events))
  const keepAlive = setInterval(() => {
    if (!reply.raw.writableNeedDrain) reply.raw.write(COMMENT)
  }, KEEP_ALIVE_MS)
  reply.raw.once('close', () => clearInterval(keepAlive))
  return reply.headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' }).type(EVENTS).send(stream)
}

/** Lines as an event's data, without the last one's newline, as the format has it. */
export function eventOf(id: string | number, text: string): string {
  const lines = text.replace(/\n$/, '').split('\n')
  return `id: ${id}\n${lines.map((line) => `data: ${line}\n`).join('')}\n`
}

/** So that the head goes out before the first line. */
async function* withHead(events: AsyncGenerator<string>): AsyncGenerator<string> {
  yield COMMENT
  yield* events
}

/**
 * Ends the follower when the connection closes. The stream would not: it waits for its generator, which waits for the next
 * line of the log.
 */
function streamOf({ raw }: FastifyReply, follower: Follower, pieces: AsyncGenerator<string>): Readable {
  raw.once('close', () => void follower.return())
  return Readable.from(pieces, BYTES)
}
