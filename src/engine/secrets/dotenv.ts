/** A variable of a .env text, and the line on which its key stands. */
export interface DotenvEntry {
  readonly key: string
  readonly value: string
  /** From 1. */
  readonly line: number
}

/** A text that is not in the form of a .env file. Says which lines, never what is in them. */
export class DotenvError extends Error {
  override name = 'DotenvError'

  constructor(readonly problems: readonly string[]) {
    super(problems.join('; '))
  }
}

const BLANK = /[^\S\n]*(?:#[^\n]*)?(?:\n|$)/y
const KEY = /[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_][A-Za-z0-9_.-]*)[^\S\n]*=[^\S\n]*/y
const QUOTED = { "'": /'([^']*)'/y, '"': /"((?:[^"\\]|\\[^])*)"/y, '`': /`([^`]*)`/y } as const
const BARE = /[^\n]*/y
/** What is left of a line. */
const REST = /[^\n]*(?:\n|$)/y
/** So many lines that are wrong are named. */
const MAX_PROBLEMS = 50
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }
const ESCAPED = /\\([nrt"\\$`])/g

/**
 * Reads the text of a .env file, as shells and most tools do: `KEY=value`, optionally after `export`; `#` begins a
 * comment at the start of a line or after white space; values in single quotes or backticks are taken as they are, in
 * double quotes `\n`, `\r`, `\t` and escaped `"`, `\`, `$` and backticks are replaced; quoted values may have several
 * lines. Nothing is expanded: `$OTHER` stays as it is.
 *
 * @throws DotenvError that names every line that is wrong
 */
export function parseDotenv(source: string): DotenvEntry[] {
  const text = source.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n')
  const entries: DotenvEntry[] = []
  const problems: string[] = []
  let at = 0
  let line = 1
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found) {
      at += found[0].length
      line += found[0].split('\n').length - 1
    }
    return found
  }
  while (at < text.length) {
    if (take(BLANK)) continue
    const start = line
    const key = take(KEY)?.[1]
    if (key === undefined) {
      problems.push(`line ${start} is not KEY=value`)
      take(REST)
      continue
    }
    const quote = text[at] ?? ''
    if (!isQuote(quote)) {
      entries.push({ key, value: withoutComment(take(BARE)?.[0] ?? ''), line: start })
      continue
    }
    const quoted = take(QUOTED[quote])?.[1]
    if (quoted === undefined) {
      // What follows may be anything: all of it may be meant to be inside.
      problems.push(`line ${start}: the ${quote} is not closed`)
      break
    }
    if (!take(BLANK)) {
      problems.push(`line ${line}: unexpected text after the closing ${quote}`)
      take(REST)
    }
    entries.push({ key, value: quote === '"' ? unescape(quoted) : quoted, line: start })
  }
  if (problems.length > 0) throw new DotenvError(problems.slice(0, MAX_PROBLEMS))
  return entries
}

function isQuote(character: string): character is keyof typeof QUOTED {
  return character in QUOTED
}

function withoutComment(value: string): string {
  const comment = value.search(/(?:^|\s)#/)
  return (comment < 0 ? value : value.slice(0, comment)).trim()
}

function unescape(value: string): string {
  return value.replace(ESCAPED, (_whole, character: string) => ESCAPES[character] ?? character)
}
