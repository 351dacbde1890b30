import { Redactor } from './redactor.js'

/** Longer lines are cut here, in bytes; what follows up to the newline is dropped. */
export const MAX_LINE_BYTES = 16 * 1024
const CUT = ' …[line cut]'
/** PostgreSQL's text cannot hold NUL. */
const NUL_SIGN = '␀'

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

// Viewers are terminals too: a log may colour its text, it may not set titles, links or the clipboard.
/* oxlint-disable no-control-regex */
const ANSI =
  /\x1b\[[0-9;:]*m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|\x1b[ -/]*[0-~]?|[\x80-\x9f]/g
const CONTROL = /[\x01-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]/g
const COLOUR = /^\x1b\[[0-9;:]*m$/
/** What none of the others finds anything in, which is most lines, has none of these. */
const UNCLEAN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]|:\/\//
/* oxlint-enable no-control-regex */
const URL_CREDENTIALS = /(https?:\/\/)[^\s/@'"]+@|(:\/\/)[^\s/@:'"]*:[^\s/@'"]+@/gi

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
  return lines.length === 0 ? [] : mask(lines.join('\n')).split('\n').map(cleanLine)
}

/** One line for storage and display; also used for messages that quote a program's output. */
export function cleanLine(line: string): string {
  if (!UNCLEAN.test(line)) return line
  return line
    .replace(ANSI, (sequence) => (COLOUR.test(sequence) ? sequence : ''))
    .replaceAll('\0', NUL_SIGN)
    .replace(CONTROL, '')
    .replace(URL_CREDENTIALS, '$1$2***@')
    .toWellFormed()
}
