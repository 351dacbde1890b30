import { ANY, character, FOLDERS, NAME, type Part, type Pattern, REST } from '../paths/pattern.js'

/** What a pattern of a `.dockerignore` says. @throws SyntaxError */
export function ignorePattern(text: string): Pattern {
  const characters = [...text]
  const parts: Part[] = []
  for (let at = 0; at < characters.length; at++) {
    const one = characters[at]
    if (one === '*') {
      if (characters[at + 1] !== '*') parts.push(NAME)
      else {
        at += characters[at + 2] === '/' ? 2 : 1
        parts.push(at + 1 < characters.length ? FOLDERS : REST)
      }
    } else if (one === '?') parts.push(ANY)
    else if (one === '[') {
      const [set, last] = setOf(characters, at + 1)
      parts.push(set)
      at = last
    } else {
      if (one === '\\') at += 1
      const literal = characters[at]
      if (literal === undefined) throw new SyntaxError('nothing follows the backslash')
      parts.push(character(literal))
    }
  }
  return parts
}

/** `[a-z]` or `[^a-z]` from behind its bracket on, and the place of the other one. */
function setOf(characters: readonly string[], from: number): [set: Part, last: number] {
  const isNegated = characters[from] === '^'
  const ranges: (readonly [string, string])[] = []
  let at = isNegated ? from + 1 : from
  const take = (): string => {
    if (characters[at] === '\\') at += 1
    const taken = characters[at++]
    if (taken === undefined) throw new SyntaxError('a set is not closed')
    return taken
  }
  while (characters[at] !== ']' || ranges.length === 0) {
    const low = take()
    const isRange = characters[at] === '-' && characters[at + 1] !== ']'
    if (isRange) at += 1
    const high = isRange ? take() : low
    if (high < low) throw new SyntaxError('a set has a reversed range')
    ranges.push([low, high])
  }
  const isIn = (one: string) => ranges.some(([low, high]) => low <= one && one <= high)
  const admits = (one: string) => one !== '/' && isIn(one) !== isNegated
  const key = `[${characters.slice(from, at).join('')}]`
  return [{ kind: 'some', key, admits, steps: ranges.length }, at]
}
