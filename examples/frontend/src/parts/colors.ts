/** A part of a text that looks the same. */
export interface Colored {
  /** Classes such as `bold fg-1`; empty: as the text around it. */
  readonly className: string
  readonly text: string
}

/** The parameters of a colour, the one control sequence that Longshore keeps. */
const COLOR = /\u001b\[([\d;]*)m/
const STYLES: Readonly<Record<number, string>> = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline' }

/** What terminals make of the 16 colours, bold and the like; others are left out. */
export function parseColors(text: string): Colored[] {
  const [first = '', ...rest] = text.split(COLOR)
  const parts: Colored[] = first === '' ? [] : [{ className: '', text: first }]
  let styles = new Set<string>()
  for (let index = 0; index < rest.length; index += 2) {
    styles = changed(styles, (rest[index] ?? '').split(';').map(Number))
    const part = rest[index + 1] ?? ''
    if (part !== '') parts.push({ className: [...styles].join(' '), text: part })
  }
  return parts
}

function changed(styles: ReadonlySet<string>, codes: readonly number[]): Set<string> {
  const next = new Set(styles)
  for (const [index, code] of codes.entries()) {
    // 38;5;n and 38;2;r;g;b: what follows is no code of its own.
    if (code === 38 || code === 48) return next
    const style = STYLES[code]
    const color = colorOf(code)
    if (code === 0 && index === 0) next.clear()
    else if (style !== undefined) next.add(style)
    else if (color !== null || code === 39) {
      for (const name of next) if (name.startsWith('fg-')) next.delete(name)
      if (color !== null) next.add(`fg-${color}`)
    }
  }
  return next
}

/** 0 to 7. The bright ones look the same: both are chosen to be read on either background. */
function colorOf(code: number): number | null {
  if (code >= 30 && code <= 37) return code - 30
  return code >= 90 && code <= 97 ? code - 90 : null
}
