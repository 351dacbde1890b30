import type { ContainerEvent } from './docker.js'
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
