/** Characters of a beginning that are looked at: each moves those before it on by three bits of a hash. */
const HEAD = 6
/** Bits of that hash: for few texts a small table will do, and more than all characters have are of no use. */
const HASH_BITS = { least: 10, most: HEAD * 3 }

/** One text that is looked through. */
interface Search {
  readonly text: string
  /** Where those are next that were not where their beginning was: a log may be full of it. */
  readonly nextOf: Map<number, number>
}

/**
 * Many texts to be found in others, of Latin-1 and {@link HEAD} characters at least. To look for one after the other would
 * take the product of both: here a place costs little where none begins, and elsewhere the logarithm of their number.
 */
export class Needles {
  readonly #sorted: readonly string[]
  /** For each text the place of the longest other one that it begins with; -1: there is none. */
  readonly #inside: readonly number[]
  /** By the hash of a beginning, the first place and the one after the last of texts that begin so; 0: none does. */
  readonly #from: Uint32Array
  readonly #to: Uint32Array
  readonly #longest: number

  constructor(texts: Iterable<string>) {
    this.#sorted = [...new Set(texts)].sort((one, other) => (one < other ? -1 : 1))
    this.#inside = insides(this.#sorted)
    this.#longest = this.#sorted.reduce((longest, { length }) => Math.max(longest, length), 0)
    const { least, most } = HASH_BITS
    const bits = Math.ceil(Math.log2(this.#sorted.length + 1)) + 6
    const size = 2 ** Math.min(Math.max(bits, least), most)
    this.#from = new Uint32Array(size)
    this.#to = new Uint32Array(size)
    for (const [index, text] of this.#sorted.entries()) {
      const hash = this.#hashAt(text, 0)
      if (this.#to[hash] === 0) this.#from[hash] = index
      this.#to[hash] = index + 1
    }
  }

  get isEmpty(): boolean {
    return this.#sorted.length === 0
  }

  /** Start and end of the longest one at each place before `limit` at which one begins. */
  *findIn(text: string, limit: number): Generator<[start: number, end: number]> {
    const end = Math.min(limit, text.length)
    const search = { text, nextOf: new Map<number, number>() }
    for (let start = this.#next(text, 0); start < end; start = this.#next(text, start + 1)) {
      const length = this.#lengthAt(search, start)
      if (length > 0) yield [start, start + length]
    }
  }

  /** The length of the longest end of the text that is a proper beginning of one. */
  unfinishedIn(text: string): number {
    const from = Math.max(0, text.length - this.#longest + 1)
    for (let start = this.#next(text, from); start < text.length; start = this.#next(text, start + 1)) {
      if (this.#isBeginning(text.slice(start))) return text.length - start
    }
    return 0
  }

  /** The first place from here on at which one may begin; of the last few all. The text's length: there is none. */
  #next(text: string, from: number): number {
    let hash = 0
    for (let at = from; at < text.length; at++) {
      hash = this.#moved(hash, text.charCodeAt(at))
      if (at - from >= HEAD - 1 && this.#to[hash] !== 0) return at - HEAD + 1
    }
    return Math.min(text.length, Math.max(from, text.length - HEAD + 1))
  }

  #moved(hash: number, code: number): number {
    return ((hash << 3) ^ code) & (this.#to.length - 1)
  }

  #hashAt(text: string, start: number): number {
    let hash = 0
    for (let at = start; at < start + HEAD; at++) hash = this.#moved(hash, text.charCodeAt(at))
    return hash
  }

  #lengthAt(search: Search, start: number): number {
    const { text } = search
    const hash = this.#hashAt(text, start)
    const [from = 0, to = 0] = [this.#from[hash], this.#to[hash]]
    if (to - from === 1) return this.#lengthOf(from, search, start)
    // What the text begins with is the one before it in the order, or one that this begins with.
    let index = this.#firstAfter(text.slice(start, start + this.#longest), from, to) - 1
    for (;;) {
      const found = this.#sorted[index]
      if (found === undefined) return 0
      if (text.slice(start, start + found.length) === found) return found.length
      index = this.#inside[index] ?? -1
    }
  }

  #lengthOf(index: number, { text, nextOf }: Search, start: number): number {
    const wanted = this.#sorted[index] ?? ''
    if (start < (nextOf.get(index) ?? 0)) return 0
    if (text.slice(start, start + wanted.length) === wanted) return wanted.length
    if (text.startsWith(wanted.slice(0, HEAD), start)) {
      const next = text.indexOf(wanted, start)
      nextOf.set(index, next < 0 ? text.length : next)
    }
    return 0
  }

  /** Of a text that is one itself it is asked whether a longer one begins with it. */
  #isBeginning(text: string): boolean {
    return this.#sorted[this.#firstAfter(text, 0, this.#sorted.length)]?.startsWith(text) ?? false
  }

  #firstAfter(text: string, from: number, to: number): number {
    let low = from
    let high = to
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#sorted[middle] ?? '') > text) high = middle
      else low = middle + 1
    }
    return low
  }
}

function insides(sorted: readonly string[]): number[] {
  const found: number[] = []
  for (const [index, text] of sorted.entries()) {
    let inside = index - 1
    while (inside >= 0 && !text.startsWith(sorted[inside] ?? '')) inside = found[inside] ?? -1
    found.push(inside)
  }
  return found
}
