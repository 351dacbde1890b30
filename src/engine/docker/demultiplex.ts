const HEADER_BYTES = 8

/** What a container wrote to a stream at once, or the engine's own word on it. */
export interface Frame {
  readonly source: 'STDIN' | 'STDOUT' | 'STDERR' | 'ENGINE'
  readonly bytes: Buffer
}

const SOURCES = ['STDIN', 'STDOUT', 'STDERR', 'ENGINE'] as const

export type Pieces = AsyncIterable<Buffer> | Iterable<Buffer>

/**
 * Takes apart what the engine sends of a container without a terminal, in pieces of any size: each frame has one byte for the
 * stream, three zero bytes and four bytes for the length. One that is not whole at the end is left out.
 */
export async function* demultiplex(pieces: Pieces): AsyncGenerator<Frame> {
  let held: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    let from = 0
    while (held.length - from >= HEADER_BYTES) {
      const end = from + HEADER_BYTES + held.readUInt32BE(from + 4)
      if (held.length < end) break
      yield { source: SOURCES[held[from] ?? 0] ?? 'STDOUT', bytes: held.subarray(from + HEADER_BYTES, end) }
      from = end
    }
    held = held.subarray(from)
  }
}
