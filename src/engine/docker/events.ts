import type Docker from 'dockerode'
import type { ExitState, ContainerEvent } from './docker.js'
import { readNdjson } from './ndjson.js'

interface EventMessage {
  readonly Action?: string
  readonly Actor?: { readonly Attributes?: Readonly<Record<string, string>> }
}

/** Events of containers as they come; ends when the engine's connection does. Probes inside containers are left out. */
export async function* readEvents(stream: NodeJS.ReadableStream): AsyncGenerator<ContainerEvent> {
  for await (const message of readNdjson(stream as AsyncIterable<Buffer>) as AsyncIterable<EventMessage>) {
    const action = message.Action ?? ''
    if (action === '' || action.startsWith('exec_')) continue
    const labels = message.Actor?.Attributes ?? {}
    yield { action, name: labels.name ?? '', labels }
  }
}

/** An `oom` may follow its `die`. */
const LATE_SECONDS = 0.2

/**
 * A container that runs again has no exit code of its own any more, but the engine remembers its newest events: 256 of
 * all containers. Waits for LATE_SECONDS.
 */
export async function lastExit(docker: Docker, name: string): Promise<ExitState | null> {
  const filters = { type: ['container' as const], container: [name], event: ['die' as const, 'oom' as const] }
  const until = Date.now() / 1000 + LATE_SECONDS
  let exitCode: number | null = null
  let outOfMemory = false
  for await (const { action, labels } of readEvents(await docker.getEvents({ filters, since: 0, until }))) {
    if (action === 'oom') outOfMemory = true
    // A label of the image may stand in its place.
    else if (/^\d{1,3}$/.test(labels.exitCode ?? '')) exitCode = Number(labels.exitCode)
  }
  return exitCode === null ? null : { exitCode, outOfMemory }
}
