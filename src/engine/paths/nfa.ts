import type { Part, Pattern } from './pattern.js'

/** A state of the automaton of all patterns: what is before it was read. Patterns that begin alike share states. */
export interface NfaState {
  readonly id: number
  readonly kind: Part['kind'] | 'start' | 'within'
  /** The first rule that has it. */
  readonly rule: number
  /** The last rule that ends here; -1: none does. */
  last: number
  /** The last visit: while one DFA state is made, each NFA state is added to it once. */
  visitedIn: number
  /** Of `some`. */
  readonly admits: ((character: string) => boolean) | null
  readonly steps: number
  /** What comes next by one character that is known. */
  byCharacter: Map<string, NfaState> | null
  /** What comes next by one of several. */
  readonly byClass: NfaState[]
  /** What comes next without a character. */
  readonly epsilon: NfaState[]
  /** Of `within`: where the folders end. */
  readonly folders: NfaState | null
}

/** The state in which all patterns begin. @param rules each by its patterns */
export function compileNfa(rules: readonly (readonly Pattern[])[]): NfaState {
  return new NfaBuilder().build(rules)
}

class NfaBuilder {
  #count = 0
  readonly #known = new Map<string, NfaState>()

  build(rules: readonly (readonly Pattern[])[]): NfaState {
    const start = this.#make('start', 0)
    for (const [rule, patterns] of rules.entries()) {
      for (const pattern of patterns) {
        const end = pattern.reduce((state, part) => this.#next(state, part, rule), start)
        end.last = rule
      }
    }
    return start
  }

  #next(state: NfaState, part: Part, rule: number): NfaState {
    if (part.kind === 'character') {
      state.byCharacter ??= new Map()
      const known = state.byCharacter.get(part.key) ?? this.#make(part.kind, rule)
      state.byCharacter.set(part.key, known)
      return known
    }
    const key = `${state.id} ${part.key}`
    const known = this.#known.get(key)
    if (known) return known
    const next = this.#make(part.kind, rule, part.kind === 'some' ? part : {})
    this.#known.set(key, next)
    if (part.kind === 'some') state.byClass.push(next)
    else state.epsilon.push(next)
    if (part.kind === 'folders') state.epsilon.push(this.#make('within', rule, { folders: next }))
    return next
  }

  #make(kind: NfaState['kind'], rule: number, more: Partial<NfaState> = {}): NfaState {
    const { admits = null, steps = 0, folders = null } = more
    const next = { byCharacter: null, byClass: [], epsilon: [] }
    return { id: this.#count++, kind, rule, last: -1, visitedIn: -1, admits, steps, folders, ...next }
  }
}
