/** What a part of a pattern stands for: one character, any within a name (`*`), folders (`**` `/`), or all that follows. */
type Part = ((character: string) => boolean) | 'name' | 'folders' | 'rest'

/**
 * A pattern of a `.dockerignore`, which a stranger writes: it is compared in one pass, however many stars it has. A regular
 * expression in its place would try all ways to share a name out between them.
 */
export class IgnorePattern {
  readonly #parts: readonly Part[]
  /** Parts that may come next, at `2 * index`, and folders that a path is within, at `2 * index + 1`. */
  #now: Uint8Array
  #next: Uint8Array

  /** @throws SyntaxError */
  constructor(text: string) {
    this.#parts = partsOf([...text])
    this.#now = new Uint8Array(2 * this.#parts.length + 2)
    this.#next = new Uint8Array(2 * this.#parts.length + 2)
  }

  /** Whether it names the path, or a folder that the path is in. */
  matches(path: string): boolean {
    const end = 2 * this.#parts.length
    this.#next.fill(0)
    this.#reach(0)
    for (const character of path) {
      ;[this.#now, this.#next] = [this.#next, this.#now]
      if (character === '/' && this.#now[end] === 1) return true
      this.#next.fill(0)
      if (!this.#follow(character)) return false
    }
    return this.#next[end] === 1
  }

  /** False: no longer path that begins like this is named. */
  #follow(character: string): boolean {
    let isAlive = false
    for (let index = 0; index < this.#parts.length; index++) {
      const part = this.#parts[index]
      const isNext = this.#now[2 * index] === 1
      if (part === 'folders' && (isNext || this.#now[2 * index + 1] === 1)) {
        this.#next[2 * index + 1] = 1
        if (character === '/') this.#reach(index + 1)
      } else if (isNext && part === 'rest') this.#reach(index)
      else if (isNext && part === 'name' && character !== '/') this.#reach(index)
      else if (isNext && typeof part === 'function' && part(character)) this.#reach(index + 1)
      else continue
      isAlive = true
    }
    return isAlive
  }

  /** What stands for nothing as well is passed at once. */
  #reach(first: number): void {
    for (let index = first; this.#next[2 * index] === 0; index++) {
      this.#next[2 * index] = 1
      if (typeof this.#parts[index] !== 'string') return
    }
  }
}

function partsOf(characters: readonly string[]): Part[] {
  const parts: Part[] = []
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]
    if (character === '*') {
      if (characters[at + 1] !== '*') parts.push('name')
      else {
        at += characters[at + 2] === '/' ? 2 : 1
        parts.push(at + 1 < characters.length ? 'folders' : 'rest')
      }
    } else if (character === '?') parts.push((one) => one !== '/')
    else if (character === '[') {
      const [admits, last] = setOf(characters, at + 1)
      parts.push(admits)
      at = last
    } else {
      if (character === '\\') at += 1
      const literal = characters[at]
      if (literal === undefined) throw new SyntaxError('nothing is after the backslash')
      parts.push((one) => one === literal)
    }
  }
  return parts
}

/** `[a-z]` or `[^a-z]` from behind its bracket on, and the place of the other one. */
function setOf(characters: readonly string[], from: number): [(character: string) => boolean, number] {
  const isNegated = characters[from] === '^'
  const ranges: (readonly [string, string])[] = []
  let at = isNegated ? from + 1 : from
  const take = (): string => {
    if (characters[at] === '\\') at += 1
    const character = characters[at++]
    if (character === undefined) throw new SyntaxError('a set does not end')
    return character
  }
  while (characters[at] !== ']' || ranges.length === 0) {
    const low = take()
    const isRange = characters[at] === '-' && characters[at + 1] !== ']'
    if (isRange) at += 1
    const high = isRange ? take() : low
    if (high < low) throw new SyntaxError('a set has a range that goes backwards')
    ranges.push([low, high])
  }
  const isIn = (one: string) => ranges.some(([low, high]) => low <= one && one <= high)
  return [(one) => one !== '/' && isIn(one) !== isNegated, at]
}
