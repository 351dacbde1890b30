import { cleanLine, lastState, NUL_SIGN } from '../quoted-text.js'
import { Redactor } from './redactor.js'

/** Longer lines are cut here, in bytes; what follows up to the newline is dropped. */
export const MAX_LINE_BYTES = 16 * 1024
const CUT = ' …[line cut]'

/**
 * Turns a stream of bytes into clean whole lines: secrets masked, UTF-8 decoded, NUL made visible, what a carriage
 * return overwrites left out, control sequences other than colours removed.
 *
 * The result does not depend on how the stream is cut into pieces. Memory is bounded by the longest line.
 */
export class LineShaper {
  readonly #redactor: Redactor
  readonly #decoder = new TextDecoder('utf-8')
  #line = ''
  #cut = false
  #afterReturn = false

  constructor(
    secrets: readonly string[],
    private readonly onLine: (line: string) => void,
  ) {
    this.#redactor = new Redactor(secrets)
  }

  write(bytes: Buffer): void {
    this.#take(this.#decoder.decode(this.#redactor.write(bytes), { stream: true }))
  }

  /** All that was written has been given out. */
  get isEmpty(): boolean {
    return this.#line === '' && !this.#cut && this.#redactor.isEmpty
  }

  /** Ends the stream: a last line without newline gets one. */
  end(): void {
    this.#take(this.#decoder.decode(this.#redactor.flush()))
    if (this.#line !== '') this.#emit()
  }

  #take(text: string): void {
    let from = 0
    while (from < text.length) {
      const at = nextBreak(text, from)
      if (at > from) this.#append(text.slice(from, at))
      if (at === text.length) return
      if (text[at] === '\n') this.#emit()
      else this.#afterReturn = true
      from = at + 1
    }
  }

  /** A terminal overwrites the line after a carriage return that no newline follows: progress bars. */
  #append(text: string): void {
    if (this.#afterReturn) {
      this.#line = ''
      this.#cut = false
      this.#afterReturn = false
    }
    if (this.#cut) return
    this.#line += text
    // No more is needed: a UTF-16 unit is a byte at least. To the byte it is cut once, at the end of the line.
    if (this.#line.length <= MAX_LINE_BYTES) return
    this.#line = this.#line.slice(0, wholeLength(this.#line, MAX_LINE_BYTES))
    this.#cut = true
  }

  #emit(): void {
    const line = boundedLine(this.#line, this.#cut)
    this.#line = ''
    this.#cut = false
    this.#afterReturn = false
    this.onLine(`${line}\n`)
  }
}

function nextBreak(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 10 || code === 13) return at
  }
  return text.length
}

/** Does not end between the two halves of a surrogate pair. */
function wholeLength(text: string, length: number): number {
  const last = text.charCodeAt(length - 1)
  return last >= 0xd800 && last <= 0xdbff ? length - 1 : length
}

const ENCODER = new TextEncoder()
const ROOM = new Uint8Array(MAX_LINE_BYTES)

/** One line as it is stored: clean, and cut between two characters if it is too long. */
export function boundedLine(line: string, isCut = false): string {
  const visible = line.replaceAll('\0', NUL_SIGN)
  // Most lines are short, and need not be measured: a UTF-16 unit is three bytes at most.
  const length =
    visible.length * 3 <= MAX_LINE_BYTES ? visible.length : ENCODER.encodeInto(visible, ROOM).read
  const kept = length < visible.length ? visible.slice(0, length) : visible
  return cleanLine(kept) + (isCut || length < visible.length ? CUT : '')
}

/** A program's last lines for storage and display. `mask` is asked once: a secret of several lines is one. */
export function cleanLines(lines: readonly string[], mask: (text: string) => string): string[] {
  if (lines.length === 0) return []
  return mask(lines.join('\n'))
    .split('\n')
    .map((line) => boundedLine(lastState(line)))
}
