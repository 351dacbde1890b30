import { LineDecoder } from './line-decoder.js'

const MAX_LINE_LENGTH = 4 * 1024 * 1024

/**
 * Decodes newline-delimited JSON from pieces of any size. A last message without newline counts.
 *
 * @throws Error on a line that is no JSON or longer than 4 MiB.
 */
export async function* readNdjson(source: AsyncIterable<Buffer>): AsyncGenerator<unknown> {
  const decoder = new LineDecoder(MAX_LINE_LENGTH)
  for await (const bytes of source) {
    for (const line of decoder.add(bytes)) yield* messageIn(line)
    if (decoder.rest === null) yield* messageIn(null)
  }
  yield* messageIn(decoder.rest)
}

function* messageIn(line: string | null): Generator<unknown> {
  if (line === null) throw new Error('a message of the Docker engine is over 4 MiB')
  if (line.trim() !== '') yield JSON.parse(line)
}
