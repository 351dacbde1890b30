import type { Engine } from './engine.js'
import type { Exchange, Reply } from './exchange.js'
import { type FakeContainer, type LogLine, Refused } from './model.js'

/** `GET /containers/{id}/logs`: a frame for each line; with `follow` until the container ends. */
export function logsOf(engine: Engine, container: FakeContainer, exchange: Exchange): Reply {
  const { runtime, dialect } = engine
  const streams = [exchange.flag('stdout') ? 1 : 0, exchange.flag('stderr') ? 2 : 0]
  if (!streams.some(Boolean)) {
    throw new Refused(400, 'Bad parameters: you must choose at least one stream')
  }
  const { signal } = exchange
  const since = nanosOf(exchange.query.get('since') ?? '0')
  const isWanted = ({ stream, nanos }: LogLine) => streams.includes(stream) && nanos >= since
  const framed = (line: LogLine) => frame(line, exchange.flag('timestamps'))
  async function* frames(): AsyncGenerator<Buffer> {
    const tail = Number(exchange.query.get('tail') ?? Number.NaN)
    let at = container.logs.length
    const wanted = container.logs.filter(({ stream }) => streams.includes(stream))
    const last = tail >= 0 ? wanted.slice(wanted.length - Math.min(tail, wanted.length)) : wanted
    yield* last.filter(isWanted).map(framed)
    if (!exchange.flag('follow')) return
    for (;;) {
      const fresh = container.logs.slice(at)
      at += fresh.length
      yield* fresh.filter(isWanted).map(framed)
      if (container.status !== 'running' || signal.aborted) return
      if (at === container.logs.length) await runtime.change(container, signal)
    }
  }
  return { status: 200, type: dialect.logType, stream: frames() }
}

/** Seconds since 1970, with up to nine digits behind the point. */
function nanosOf(seconds: string): bigint {
  const [whole = '0', fraction = ''] = seconds.split('.')
  return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
}

/** RFC 3339 with nine digits. */
function timeOf(nanos: bigint): string {
  const seconds = new Date(Number(nanos / 1_000_000n)).toISOString().slice(0, 19)
  return `${seconds}.${String(nanos % 1_000_000_000n).padStart(9, '0')}Z`
}

function frame({ stream, text, nanos }: LogLine, isTimed: boolean): Buffer {
  return frameOf(stream, isTimed ? `${timeOf(nanos)} ${text}` : text)
}

/** As the engine sends what a container writes to a stream. */
export function frameOf(stream: 1 | 2, text: string): Buffer {
  const bytes = Buffer.from(text)
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}
