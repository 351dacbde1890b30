import type { Effort } from './effort.js'
import type { Pattern } from './pattern.js'
import { type Place, placesOf } from './places.js'

/** All places that a text may be at. */
interface State {
  readonly at: readonly Place[]
  /** The last rule that names the text up to here; -1: none does. */
  readonly last: number
  readonly next: Map<string, State>
}

/** Places and steps that are remembered, in all some tens of megabytes; then they are learnt anew. */
const MOST_KEPT = 500_000
/** What a state, or a step, takes more than a place. */
const KEPT_OF_STATE = 16
/** What a state costs, however few places it has. */
const STEPS_TO_REMEMBER = 20

/** The patterns and the paths were made to be slow. */
export class EffortError extends Error {
  override name = 'EffortError'

  /** @param rules by their part in it, the greatest first */
  constructor(readonly rules: readonly number[]) {
    super('the effort is spent')
  }
}

/**
 * Many patterns, compared with many paths at once. The step that a character takes from one state to the next is made once
 * and remembered: most paths cost a look-up for each of their characters, however many patterns there are. Only paths that
 * were made for it, and new states at each character, cost as much as patterns and paths multiplied: that is counted.
 */
export class PathRules {
  readonly #begin: Place
  readonly #states = new Map<string, State>()
  #kept = 0
  #start: State | null = null
  /** Places of the state that is being made. */
  #reached: Place[] = []
  #round = 0

  /** @param rules each by its patterns */
  constructor(rules: readonly (readonly Pattern[])[]) {
    this.#begin = placesOf(rules)
  }

  /**
   * For each path the index of the last rule that names it, or -1.
   *
   * @throws EffortError
   */
  async lastOf(paths: Iterable<string>, effort: Effort): Promise<number[]> {
    const found: number[] = []
    for (const path of paths) {
      let state = (this.#start ??= this.#first())
      for (const character of path) {
        const known = state.next.get(character)
        state = known ?? this.#learn(state, character, effort)
        if (!known && effort.isTurnDue) await effort.turn()
        if (state.at.length === 0) break
      }
      found.push(state.last)
      effort.pass(path.length)
      if (effort.isTurnDue) await effort.turn()
    }
    return found
  }

  #learn(state: State, character: string, effort: Effort): State {
    let steps = state.at.length + STEPS_TO_REMEMBER
    for (const place of state.at) {
      if (staysAt(place, character)) this.#reach(place)
      if (place.folders && character === '/') this.#reach(place.folders)
      const next = place.byCharacter?.get(character)
      if (next) this.#reach(next)
      for (const some of place.bySome) {
        steps += some.steps
        if (some.admits?.(character)) this.#reach(some)
      }
    }
    const learnt = this.#stateReached()
    state.next.set(character, learnt)
    this.#kept += KEPT_OF_STATE
    this.#spend(steps + learnt.at.length, learnt.at, effort)
    return learnt
  }

  #reach(place: Place): void {
    if (place.reachedIn === this.#round) return
    place.reachedIn = this.#round
    this.#reached.push(place)
  }

  #stateReached(): State {
    let last = -1
    const at = this.#reached
    // What is reached by standing for nothing is gone through as well.
    for (const place of at) {
      last = Math.max(last, place.last)
      for (const next of place.byNothing) this.#reach(next)
    }
    this.#reached = []
    this.#round++
    const ids = new Uint32Array(at.length)
    for (const [index, { id }] of at.entries()) ids[index] = id
    const key = Buffer.from(ids.sort().buffer).toString('latin1')
    const known = this.#states.get(key)
    if (known) return known
    if (this.#kept > MOST_KEPT) this.#forget()
    const state = { at, last, next: new Map<string, State>() }
    this.#states.set(key, state)
    this.#kept += at.length + KEPT_OF_STATE
    return state
  }

  #first(): State {
    this.#reach(this.#begin)
    return this.#stateReached()
  }

  #spend(steps: number, at: readonly Place[], effort: Effort): void {
    if (effort.spend(steps)) return
    const places = new Map<number, number>()
    for (const { rule } of at) places.set(rule, (places.get(rule) ?? 0) + 1)
    throw new EffortError([...places].sort(([, one], [, other]) => other - one).map(([rule]) => rule))
  }

  #forget(): void {
    this.#states.clear()
    this.#start = null
    this.#kept = 0
  }
}

function staysAt({ kind }: Place, character: string): boolean {
  return kind === 'rest' || kind === 'within' || (kind === 'name' && character !== '/')
}
