/** What BuildKit reports of one step ("vertex") of a build. */
export interface Vertex {
  readonly digest: string
  readonly name: string
  readonly cached: boolean
  /** Milliseconds since 1970, by the engine's clock; null: it has not begun. */
  readonly startedMs: number | null
  readonly completedMs: number | null
  readonly error: string
}

export interface VertexLog {
  readonly vertex: string
  /** 1: stdout, 2: stderr. */
  readonly stream: number
  readonly bytes: Buffer
}

export interface Trace {
  readonly vertexes: Vertex[]
  readonly logs: VertexLog[]
}

/**
 * Decodes one `moby.buildkit.trace` message: a protobuf `StatusResponse` of BuildKit's control API (fields 1 vertexes,
 * 3 logs). Written by hand because the format is frozen and a protobuf library is larger than all of this adapter.
 *
 * @throws RangeError on a truncated message.
 */
export function decodeTrace(bytes: Buffer): Trace {
  const trace: Trace = { vertexes: [], logs: [] }
  for (const [field, value] of fieldsOf(bytes)) {
    if (!Buffer.isBuffer(value)) continue
    if (field === 1) trace.vertexes.push(decodeVertex(value))
    if (field === 3) trace.logs.push(decodeLog(value))
  }
  return trace
}

function decodeVertex(bytes: Buffer): Vertex {
  const fields = new Map(fieldsOf(bytes))
  const text = (field: number) => fields.get(field)?.toString() ?? ''
  const time = (field: number) => {
    const value = fields.get(field)
    return Buffer.isBuffer(value) ? decodeTime(value) : null
  }
  return {
    digest: text(1),
    name: text(3),
    cached: fields.get(4) === 1,
    startedMs: time(5),
    completedMs: time(6),
    error: text(7),
  }
}

/** A Timestamp: seconds and nanoseconds. */
function decodeTime(bytes: Buffer): number {
  const fields = new Map(fieldsOf(bytes))
  return Number(fields.get(1) ?? 0) * 1000 + Number(fields.get(2) ?? 0) / 1e6
}

function decodeLog(bytes: Buffer): VertexLog {
  const fields = new Map(fieldsOf(bytes))
  const message = fields.get(4)
  return {
    vertex: fields.get(1)?.toString() ?? '',
    stream: Number(fields.get(3) ?? 1),
    bytes: Buffer.isBuffer(message) ? message : Buffer.alloc(0),
  }
}

/** Numbers and values of the fields of a protobuf message. */
export function* fieldsOf(bytes: Buffer): Generator<[number, Buffer | number]> {
  let at = 0
  const varint = () => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes.readUInt8(at++)
      value += (byte & 127) * shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = varint()
    const type = key & 7
    const length = type === 2 ? varint() : type === 1 ? 8 : type === 5 ? 4 : 0
    if (at + length > bytes.length) throw new RangeError('truncated BuildKit trace')
    if (type === 0) yield [key >>> 3, varint()]
    else yield [key >>> 3, bytes.subarray(at, (at += length))]
  }
}
