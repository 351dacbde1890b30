import type { Exchange, Reply } from './exchange.js'
import { type FakeContainer, type LogLine, Refused } from './model.js'
import type { Runtime } from './runtime.js'

/** `GET /containers/{id}/logs`: a frame for each line; with `follow` until the container ends. */
export function logsOf(runtime: Runtime, container: FakeContainer, exchange: Exchange): Reply {
  const streams = [exchange.flag('stdout') ? 1 : 0, exchange.flag('stderr') ? 2 : 0]
  if (!streams.some(Boolean)) {
    throw new Refused(400, 'Bad parameters: you must choose at least one stream')
  }
  const { signal } = exchange
  async function* frames(): AsyncGenerator<Buffer> {
    const tail = Number(exchange.query.get('tail') ?? Number.NaN)
    let at = container.logs.length
    const wanted = container.logs.filter(({ stream }) => streams.includes(stream))
    yield* (tail >= 0 ? wanted.slice(wanted.length - Math.min(tail, wanted.length)) : wanted).map(frame)
    if (!exchange.flag('follow')) return
    for (;;) {
      const fresh = container.logs.slice(at)
      at += fresh.length
      yield* fresh.filter(({ stream }) => streams.includes(stream)).map(frame)
      if (container.status !== 'running' || signal.aborted) return
      if (at === container.logs.length) await runtime.change(container, signal)
    }
  }
  return { status: 200, type: '', stream: frames() }
}

function frame({ stream, text }: LogLine): Buffer {
  const bytes = Buffer.from(text)
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}
