/*
 * Whoever wrote a text may have put into it what a terminal obeys or what looks like a line of ours. Everything that
 * quotes somebody goes through here: subjects of commits, names of steps and files, output in messages, what forges answer.
 */

/** What ends a line somewhere: a terminal, JavaScript, a browser. */
// oxlint-disable-next-line no-control-regex
const LINE_ENDS = /[\n\v\f\r\x85\u2028\u2029]+/g
/** They show a text in another order than it has ("Trojan Source"). Marks of single characters stay: scripts need them. */
const BIDI = /[\u202a-\u202e\u2066-\u2069]/g
/* oxlint-disable no-control-regex */
const ANSI =
  /\x1b\[[0-9;:]*m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|\x1b[ -/]*[0-~]?|[\x80-\x9f]/g
const COLOUR = /^\x1b\[[0-9;:]*m$/
const CONTROL = /[\x01-\x08\x0b-\x1a\x1c-\x1f\x7f]/g
/** What none of the others finds anything in, which is most lines, has none of these. */
const UNCLEAN = /[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]|:\/\//
/* oxlint-enable no-control-regex */
/** PostgreSQL's text cannot hold NUL. */
export const NUL_SIGN = '␀'
const URL_CREDENTIALS = /(https?:\/\/)[^\s/@'"]+@|(:\/\/)[^\s/@:'"]*:[^\s/@'"]+@/gi
const CUT = '…'
/** UTF-16 units of the emoji that consist of most. */
const LONGEST = 40

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' })

/**
 * A quotation for the middle of a sentence: one line, without colours or anything else that a terminal obeys, passwords of URLs
 * masked. Secrets are masked before: afterwards they may be cut.
 *
 * @param maxLength UTF-16 units of the result; a longer text ends with `…`
 */
export function oneLine(text: string, maxLength = Infinity): string {
  return cutText(flat(text).trim(), maxLength)
}

/** The name of a file in quotation marks, cleaned as by {@link oneLine}. Spaces at its ends belong to it. */
export function quoteName(name: string, maxLength = 200): string {
  return `"${cutText(flat(name), maxLength)}"`
}

function flat(text: string): string {
  const line = text.replace(ANSI, (found) => (found === '\x85' ? ' ' : ''))
  return cleanLine(line.replace(LINE_ENDS, ' ').replace(BIDI, '').replaceAll('\t', ' '))
}

/** A line of Longshore's own, which may quote somebody: what would begin another line is a space. */
export function joinLines(text: string): string {
  return text.trimEnd().replace(LINE_ENDS, ' ').replace(BIDI, '')
}

/** One line of a program's output for storage and display. Its colours stay. */
export function cleanLine(line: string): string {
  if (!UNCLEAN.test(line)) return line
  return line
    .replace(ANSI, (sequence) => (COLOUR.test(sequence) ? sequence : ''))
    .replaceAll('\0', NUL_SIGN)
    .replace(CONTROL, '')
    .replace(URL_CREDENTIALS, '$1$2***@')
    .toWellFormed()
}

/** What a terminal shows of a line at its end: each carriage return lets it begin anew, as progress bars do. */
export function lastState(line: string): string {
  const shown = line.replace(/\r+$/, '')
  return shown.slice(shown.lastIndexOf('\r') + 1)
}

/** At most `maxLength` UTF-16 units; cut between two characters as people see them, of which an emoji may be ten units. */
export function cutText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  const room = maxLength - CUT.length
  let end = 0
  // The last one that begins before the end may go on behind it, though not for long.
  for (const { index } of GRAPHEMES.segment(text.slice(0, room + LONGEST))) if (index <= room) end = index
  // One that is longer than all that there is room for: between two code points.
  if (end === 0) end = (text.codePointAt(room - 1) ?? 0) > 0xffff ? room - 1 : room
  return text.slice(0, end) + CUT
}
