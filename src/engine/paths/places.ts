import type { Part, Pattern } from './pattern.js'

/** A place in patterns: what is before it was read. Those that begin alike share their places. */
export interface Place {
  readonly id: number
  readonly kind: Part['kind'] | 'start' | 'within'
  /** The first rule that has it. */
  readonly rule: number
  /** The last rule that ends here; -1: none does. */
  last: number
  /** The round in which a state was made that has it. */
  reachedIn: number
  /** Of `some`. */
  readonly admits: ((character: string) => boolean) | null
  readonly steps: number
  /** What comes next by one character that is known. */
  byCharacter: Map<string, Place> | null
  /** What comes next by one of several. */
  readonly bySome: Place[]
  /** What comes next and may stand for nothing. */
  readonly byNothing: Place[]
  /** Of `within`: where the folders end. */
  readonly folders: Place | null
}

/** The place where all patterns begin. @param rules each by its patterns */
export function placesOf(rules: readonly (readonly Pattern[])[]): Place {
  return new Places().of(rules)
}

class Places {
  #count = 0
  readonly #known = new Map<string, Place>()

  of(rules: readonly (readonly Pattern[])[]): Place {
    const start = this.#make('start', 0)
    for (const [rule, patterns] of rules.entries()) {
      for (const pattern of patterns) {
        const end = pattern.reduce((place, part) => this.#next(place, part, rule), start)
        end.last = rule
      }
    }
    return start
  }

  #next(place: Place, part: Part, rule: number): Place {
    if (part.kind === 'character') {
      place.byCharacter ??= new Map()
      const known = place.byCharacter.get(part.key) ?? this.#make(part.kind, rule)
      place.byCharacter.set(part.key, known)
      return known
    }
    const key = `${place.id} ${part.key}`
    const known = this.#known.get(key)
    if (known) return known
    const next = this.#make(part.kind, rule, part.kind === 'some' ? part : {})
    this.#known.set(key, next)
    if (part.kind === 'some') place.bySome.push(next)
    else place.byNothing.push(next)
    if (part.kind === 'folders') place.byNothing.push(this.#make('within', rule, { folders: next }))
    return next
  }

  #make(kind: Place['kind'], rule: number, more: Partial<Place> = {}): Place {
    const { admits = null, steps = 0, folders = null } = more
    const next = { byCharacter: null, bySome: [], byNothing: [] }
    return { id: this.#count++, kind, rule, last: -1, reachedIn: -1, admits, steps, folders, ...next }
  }
}
