import type Docker from 'dockerode'
import { InfrastructureError } from '../errors.js'
import { withTimeout, ignoreMissing } from './calls.js'
import { withAbort } from './connections.js'
import type { ContainerLog, ContainerLogsQuery, ContainerOutput } from './docker.js'

const HEADER_BYTES = 8
const STDERR = 2
/** The engine's own word on a log that it cannot read. */
const SYSTEM_ERROR = 3
const NEWLINE = 0x0a
const SPACE = 0x20
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/

/**
 * Null: there is no such container. The answer's pieces are asked for as they are read, so a slow reader slows the
 * engine. Only the first question is bounded by `ms`: a followed log is silent for as long as its container.
 */
export async function openLogs(
  docker: Docker,
  name: string,
  query: ContainerLogsQuery,
  ms: number,
  signal: AbortSignal,
): Promise<ContainerLog | null> {
  const found = await withTimeout(
    (givenUp) => ignoreMissing(withAbort(docker, givenUp).getContainer(name).inspect()),
    ms,
    signal,
  )
  if (!found) return null
  const options = {
    stdout: true,
    stderr: true,
    timestamps: true,
    follow: query.follow,
    ...(query.tail === null ? {} : { tail: query.tail }),
    ...(query.since === null ? {} : { since: unixTime(query.since) }),
  }
  const answer = await ignoreMissing(dial(docker, `/containers/${name}/logs?`, options, signal))
  if (!answer) return null
  const output = found.Config.Tty ? readRaw(answer) : readFramed(answer)
  return Object.assign(output, { createdAt: new Date(found.Created) })
}

/** Not container.logs(): without `follow` it takes the whole answer into memory. */
function dial(docker: Docker, path: string, options: object, abortSignal: AbortSignal): Promise<Pieces> {
  const statusCodes = { 200: true, 404: 'no such container', 500: 'server error' }
  const request = { path, method: 'GET', options, isStream: true, statusCodes, abortSignal }
  return new Promise((resolve, reject) => {
    docker.modem.dial(request, (error: Error | null, answer: unknown) =>
      error ? reject(error) : resolve(answer as Pieces),
    )
  })
}

/** The engine takes seconds with nine digits behind the point, more than a number can hold. */
function unixTime(at: string): string {
  return `${Date.parse(`${at.slice(0, 19)}Z`) / 1000}.${at.slice(20, 29)}`
}

type Pieces = AsyncIterable<Buffer> | Iterable<Buffer>

/**
 * Without a terminal each message is framed: one byte stream, three zero bytes, four bytes length.
 *
 * @throws InfrastructureError when the engine says that it cannot read on
 */
export async function* readFramed(pieces: Pieces): AsyncGenerator<ContainerOutput> {
  let held: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    let from = 0
    while (held.length - from >= HEADER_BYTES) {
      const end = from + HEADER_BYTES + held.readUInt32BE(from + 4)
      if (held.length < end) break
      const message = held.subarray(from + HEADER_BYTES, end)
      if (held[from] === SYSTEM_ERROR) throw unreadable(message)
      yield* outputOf(held[from] === STDERR ? 'STDERR' : 'STDOUT', message)
      from = end
    }
    held = held.subarray(from)
  }
}

/** With a terminal there is one stream and no frame: a line is a message. */
export async function* readRaw(pieces: Pieces): AsyncGenerator<ContainerOutput> {
  let held: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    let from = 0
    for (let at = held.indexOf(NEWLINE); at >= 0; at = held.indexOf(NEWLINE, from)) {
      yield* outputOf('STDOUT', held.subarray(from, at + 1))
      from = at + 1
    }
    held = held.subarray(from)
  }
  if (held.length > 0) yield* outputOf('STDOUT', held)
}

/** Nothing where it has no time: with a terminal the engine's own complaints come among the lines. */
function outputOf(stream: ContainerOutput['stream'], message: Buffer): ContainerOutput[] {
  const space = message.indexOf(SPACE)
  const at = message.toString('latin1', 0, Math.max(space, 0))
  const isStamped = STAMP.test(at) && !Number.isNaN(Date.parse(at))
  return isStamped ? [{ at, stream, bytes: message.subarray(space + 1) }] : []
}

function unreadable(message: Buffer): InfrastructureError {
  const words = message.toString('utf8').trim().slice(0, 500)
  return new InfrastructureError('DOCKER_FAILED', `the Docker engine cannot read a container's log: ${words}`)
}
