import type { StepBudget } from './step-budget.js'
import type { Pattern } from './pattern.js'
import { type NfaState, compileNfa } from './nfa.js'

/** A state of the lazily built DFA: all NFA states that a text may be in. */
interface DfaState {
  readonly nfaStates: readonly NfaState[]
  /** The last rule that names the text up to here; -1: none does. */
  readonly last: number
  readonly next: Map<string, DfaState>
}

/** NFA states and transitions that are cached, in all some tens of megabytes; then the cache is cleared. */
const MAX_CACHED = 500_000
/** What a DFA state, or a transition, costs of the cache beside its NFA states. */
const STATE_OVERHEAD = 16
/** Steps that a new DFA state costs, however few NFA states it has. */
const STEPS_PER_STATE = 20

/** The patterns and the paths were made to be slow. */
export class StepBudgetError extends Error {
  override name = 'StepBudgetError'

  /** @param rules by their part in it, the greatest first */
  constructor(readonly rules: readonly number[]) {
    super('the step budget is spent')
  }
}

/**
 * Many patterns, compared with many paths at once: an NFA, made deterministic lazily. The transition of a character from one
 * DFA state to the next is computed once and cached: most paths cost a look-up for each of their characters, however many
 * patterns there are. Only paths that were made for it, and need a new state at each character, cost as much as patterns
 * and paths multiplied: that is counted.
 */
export class PathMatcher {
  readonly #nfa: NfaState
  readonly #states = new Map<string, DfaState>()
  #cached = 0
  #startState: DfaState | null = null
  /** NFA states of the DFA state that is being made. */
  #visited: NfaState[] = []
  #visitNumber = 0

  /** @param rules each by its patterns */
  constructor(rules: readonly (readonly Pattern[])[]) {
    this.#nfa = compileNfa(rules)
  }

  /**
   * For each path the index of the last rule that names it, or -1.
   *
   * @throws StepBudgetError
   */
  async lastMatches(paths: Iterable<string>, budget: StepBudget): Promise<number[]> {
    const found: number[] = []
    for (const path of paths) {
      let state = (this.#startState ??= this.#createStart())
      for (const character of path) {
        const known = state.next.get(character)
        state = known ?? this.#step(state, character, budget)
        if (!known && budget.isYieldDue) await budget.yieldTurn()
        if (state.nfaStates.length === 0) break
      }
      found.push(state.last)
      budget.count(path.length)
      if (budget.isYieldDue) await budget.yieldTurn()
    }
    return found
  }

  #step(state: DfaState, character: string, budget: StepBudget): DfaState {
    let steps = state.nfaStates.length + STEPS_PER_STATE
    for (const from of state.nfaStates) {
      if (loops(from, character)) this.#visit(from)
      if (from.folders && character === '/') this.#visit(from.folders)
      const next = from.byCharacter?.get(character)
      if (next) this.#visit(next)
      for (const some of from.byClass) {
        steps += some.steps
        if (some.admits?.(character)) this.#visit(some)
      }
    }
    const target = this.#internVisited()
    state.next.set(character, target)
    this.#cached += STATE_OVERHEAD
    this.#spend(steps + target.nfaStates.length, target.nfaStates, budget)
    return target
  }

  #visit(state: NfaState): void {
    if (state.visitedIn === this.#visitNumber) return
    state.visitedIn = this.#visitNumber
    this.#visited.push(state)
  }

  #internVisited(): DfaState {
    let last = -1
    const nfaStates = this.#visited
    // What is added by an epsilon transition is gone through as well.
    for (const state of nfaStates) {
      last = Math.max(last, state.last)
      for (const next of state.epsilon) this.#visit(next)
    }
    this.#visited = []
    this.#visitNumber++
    const ids = new Uint32Array(nfaStates.length)
    for (const [index, { id }] of nfaStates.entries()) ids[index] = id
    const key = Buffer.from(ids.sort().buffer).toString('latin1')
    const known = this.#states.get(key)
    if (known) return known
    if (this.#cached > MAX_CACHED) this.#clearCache()
    const state = { nfaStates, last, next: new Map<string, DfaState>() }
    this.#states.set(key, state)
    this.#cached += nfaStates.length + STATE_OVERHEAD
    return state
  }

  #createStart(): DfaState {
    this.#visit(this.#nfa)
    return this.#internVisited()
  }

  #spend(steps: number, at: readonly NfaState[], budget: StepBudget): void {
    if (budget.spend(steps)) return
    const counts = new Map<number, number>()
    for (const { rule } of at) counts.set(rule, (counts.get(rule) ?? 0) + 1)
    throw new StepBudgetError([...counts].sort(([, one], [, other]) => other - one).map(([rule]) => rule))
  }

  #clearCache(): void {
    this.#states.clear()
    this.#startState = null
    this.#cached = 0
  }
}

function loops({ kind }: NfaState, character: string): boolean {
  return kind === 'rest' || kind === 'within' || (kind === 'name' && character !== '/')
}
