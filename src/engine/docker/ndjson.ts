import { StringDecoder } from 'node:string_decoder'

const MAX_LINE_LENGTH = 4 * 1024 * 1024

/**
 * Decodes newline-delimited JSON from pieces of any size: characters and messages may be cut anywhere. A last
 * message without newline counts.
 *
 * @throws Error on a line that is no JSON or longer than 4 MiB.
 */
export async function* readNdjson(source: AsyncIterable<Buffer>): AsyncGenerator<unknown> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const bytes of source) {
    rest += decoder.write(bytes)
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    if ([rest, ...lines].some((line) => line.length > MAX_LINE_LENGTH)) {
      throw new Error('a message of the Docker engine is over 4 MiB')
    }
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line)
  }
  rest += decoder.end()
  if (rest.trim() !== '') yield JSON.parse(rest)
}
