import { InfrastructureError } from '../errors.js'
import { oneLine } from '../quoted-text.js'
import { call, type EngineCalls, ignoreMissing } from './calls.js'
import { demultiplex, type Pieces } from './demultiplex.js'
import type { ContainerLog, ContainerLogsQuery, ContainerOutput } from './docker.js'

const NEWLINE = 0x0a
const SPACE = 0x20
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/

/** What is asked for of a container's log. */
interface LogQuestion extends ContainerLogsQuery {
  readonly name: string
}

/**
 * Null: there is no such container. The answer's pieces are asked for as they are read, so a slow reader slows the
 * engine. Only the first question is bounded in time: a followed log is silent for as long as its container.
 */
export function openLogs(
  calls: EngineCalls,
  { name, tail, since, follow }: LogQuestion,
  signal: AbortSignal,
): Promise<ContainerLog | null> {
  return call(async () => {
    const found = await calls.make((docker) => ignoreMissing(docker.getContainer(name).inspect()), signal)
    if (!found) return null
    const query = {
      ...{ timestamps: true, follow },
      ...(tail === null ? {} : { tail }),
      ...(since === null ? {} : { since: unixTime(since) }),
    }
    const answer = await openStream(calls, { name, query }, signal)
    if (!answer) return null
    const output = found.Config.Tty ? readRaw(answer) : readFramed(answer)
    return Object.assign(output, { createdAt: new Date(found.Created) })
  }, signal)
}

/** Last lines of what a container wrote, oldest first. */
export function lastLines(calls: EngineCalls, name: string, count: number): Promise<string[]> {
  return calls.within((givenUp) =>
    call(async () => {
      const answer = await openStream(calls, { name, query: { tail: count } }, givenUp)
      if (!answer) return []
      const written: Buffer[] = []
      for await (const { bytes } of demultiplex(answer)) written.push(bytes)
      const lines = Buffer.concat(written).toString('utf8').split(/\r?\n/)
      return lines.filter((line) => line !== '').slice(-count)
    }, givenUp),
  )
}

/** Not container.logs(): without `follow` it takes the whole answer into memory. Null: no such container. */
function openStream(
  { client }: EngineCalls,
  { name, query }: { readonly name: string; readonly query: Readonly<Record<string, unknown>> },
  signal: AbortSignal,
): Promise<Pieces | null> {
  const statusCodes = { 200: true, 404: 'no such container', 500: 'server error' } as const
  const path = `/containers/${name}/logs`
  const asked = { stdout: true, stderr: true, ...query }
  return ignoreMissing(client.open({ method: 'GET', path, query: asked, statusCodes, signal }))
}

/** The engine takes seconds with nine digits behind the point, more than a number can hold. */
function unixTime(at: string): string {
  return `${Date.parse(`${at.slice(0, 19)}Z`) / 1000}.${at.slice(20, 29)}`
}

/** @throws InfrastructureError when the engine says that it cannot read on */
export async function* readFramed(pieces: Pieces): AsyncGenerator<ContainerOutput> {
  for await (const { source, bytes } of demultiplex(pieces)) {
    if (source === 'ENGINE') throw unreadable(bytes)
    yield* outputOf(source === 'STDERR' ? 'STDERR' : 'STDOUT', bytes)
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
  const words = oneLine(message.toString('utf8'), 500)
  return new InfrastructureError('DOCKER_FAILED', `the Docker engine cannot read a container's log: ${words}`)
}
