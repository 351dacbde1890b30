import { badInput } from '../command-error.js'
import type { StepBudget } from '../paths/step-budget.js'
import { PathMatcher } from '../paths/path-matcher.js'
import { ANY, character, FOLDERS, NAME, type Part, type Pattern, REST, withBelow } from '../paths/pattern.js'

const MAX_PATTERNS = 50
const MAX_LENGTH = 200

/** Globs of paths below the repository's root: `apps/web/**`; `!docs/**` takes back. At most 50. */
export function checkWatchPaths(field: string, patterns: readonly string[]): string[] {
  if (patterns.length > MAX_PATTERNS) throw badInput(field, `has more than ${MAX_PATTERNS} patterns`)
  return patterns.map((pattern, index) => {
    const [, negation = '', glob = ''] = /^(!?)\/?(.*)$/s.exec(pattern) ?? []
    const whole = checkGlob(`${field}[${index}]`, glob)
    // A folder stands for all that is in it.
    return negation + (whole.endsWith('/') ? `${whole}**` : whole)
  })
}

/** One glob of 1 to 200 characters. `*` and `?` stay within a name, `**` stands for any folders; all else is literal. */
export function checkGlob(field: string, glob: string): string {
  // oxlint-disable-next-line no-control-regex
  if (glob !== '' && glob.length <= MAX_LENGTH && !/[\x00-\x1f\x7f\\{}]/.test(glob)) return glob
  throw badInput(
    field,
    `must be a glob of 1 to ${MAX_LENGTH} characters such as apps/web/**: it knows *, ? and **, and no braces or backslashes`,
  )
}

/**
 * Whether one of the paths is watched. As in a .gitignore the last pattern that matches a path decides; where the
 * first one takes back, everything else is watched.
 *
 * @throws StepBudgetError where patterns and paths were made for it: nobody knows
 */
export async function watchesAny(
  patterns: readonly string[],
  paths: readonly string[],
  budget: StepBudget,
): Promise<boolean> {
  const rules = patterns.map((pattern) => {
    const isNegated = pattern.startsWith('!')
    return { isNegated, named: namedBy(isNegated ? pattern.slice(1) : pattern) }
  })
  const last = await new PathMatcher(rules.map(({ named }) => named)).lastMatches(paths, budget)
  const watchesOthers = rules[0]?.isNegated ?? true
  return last.some((rule) => {
    const decides = rules[rule]
    return decides === undefined ? watchesOthers : !decides.isNegated
  })
}

/** @throws StepBudgetError */
export async function matches(glob: string, path: string, budget: StepBudget): Promise<boolean> {
  const [last] = await new PathMatcher([namedBy(glob)]).lastMatches([path], budget)
  return last === 0
}

/** What a glob names. `**` is any number of names, and none, where it stands for a whole one; else it is a `*`. */
function namedBy(glob: string): readonly Pattern[] {
  const names = glob.split('/').filter((name, index, all) => name !== '**' || all[index - 1] !== '**')
  const isBelow = names.at(-1) === '**'
  if (isBelow) names.pop()
  if (names.length === 0) return [[REST]]
  const parts = names.flatMap((name, index) => {
    if (name === '**') return [FOLDERS]
    return index < names.length - 1 ? [...partsOf(name), character('/')] : partsOf(name)
  })
  return isBelow ? withBelow(parts) : [parts]
}

function partsOf(name: string): Part[] {
  return [...name.replace(/\*+/g, '*')].map((letter) => {
    if (letter === '*') return NAME
    return letter === '?' ? ANY : character(letter)
  })
}
