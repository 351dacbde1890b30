import { StringDecoder } from 'node:string_decoder'

/**
 * Makes lines of UTF-8 bytes that come in pieces of any size: a character may be cut anywhere. A line of more than
 * `maxLength` UTF-16 units is null: nothing of it is kept, and where it is asked for none of it is given.
 */
export class LineDecoder {
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''
  #isTooLong = false

  constructor(private readonly maxLength: number) {}

  /** The lines that end in `bytes`. */
  add(bytes: Buffer): (string | null)[] {
    const lines: (string | null)[] = (this.#rest + this.#decoder.write(bytes)).split(/\r?\n/)
    this.#rest = lines.pop() ?? ''
    if (this.#isTooLong && lines.length > 0) lines[0] = null
    this.#isTooLong = this.#rest.length > this.maxLength || (this.#isTooLong && lines.length === 0)
    if (this.#isTooLong) this.#rest = ''
    return lines.map((line) => (line !== null && line.length > this.maxLength ? null : line))
  }

  /** What has come since the last newline. */
  get rest(): string | null {
    return this.#isTooLong ? null : this.#rest
  }
}
