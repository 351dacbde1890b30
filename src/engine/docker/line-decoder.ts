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
    if (this.#isTooLong && lines.length > 0) lines[0] = this.#ended(lines[0] ?? '', true)
    const isTooLong = this.#isTooLong && lines.length === 0
    const rest = this.#ended(this.#rest, isTooLong)
    this.#isTooLong = rest === null
    this.#rest = rest ?? ''
    return lines.map((line) => line && this.#ended(line, false))
  }

  /** A line that is too long as it is may be short by what its last carriage return has overwritten. */
  #ended(line: string, isRestOfLong: boolean): string | null {
    if (!isRestOfLong && line.length <= this.maxLength) return line
    const shown = line.replace(/\r+$/, '').lastIndexOf('\r')
    const last = line.slice(shown + 1)
    return shown < 0 || last.length > this.maxLength ? null : last
  }

  /** What has come since the last newline. */
  get rest(): string | null {
    return this.#isTooLong ? null : this.#rest
  }
}
