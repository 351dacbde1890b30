import { badInput } from '../errors.js'

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
  // eslint-disable-next-line no-control-regex
  if (glob !== '' && glob.length <= MAX_LENGTH && !/[\x00-\x1f\x7f\\{}]/.test(glob)) return glob
  throw badInput(
    field,
    `must be a glob of 1 to ${MAX_LENGTH} characters such as apps/web/**: it knows *, ? and **, and no braces or backslashes`,
  )
}

/**
 * Whether one of the paths is watched. As in a .gitignore the last pattern that matches a path decides; where the
 * first one takes back, everything else is watched.
 */
export function watchesAny(patterns: readonly string[], paths: readonly string[]): boolean {
  const rules = patterns.map((pattern) => {
    const isNegated = pattern.startsWith('!')
    return { isNegated, glob: isNegated ? pattern.slice(1) : pattern }
  })
  return paths.some((path) => {
    const last = rules.findLast(({ glob }) => matches(glob, path))
    return last === undefined ? (rules[0]?.isNegated ?? true) : !last.isNegated
  })
}

/**
 * Takes at most as many steps as both are long, multiplied. The regular expressions that libraries make of globs take
 * minutes for four stars and a path that somebody chose, and the paths of a push are chosen by whoever pushes.
 */
export function matches(glob: string, path: string): boolean {
  return fits(glob.split('/'), path.split('/'), '**', (name, given) =>
    fits([...name], [...given], '*', (letter, found) => letter === '?' || letter === found),
  )
}

/** Whether `pattern` fits all of `given`, where each `star` in it stands for any number of parts. */
function fits(
  pattern: readonly string[],
  given: readonly string[],
  star: string,
  isFit: (wanted: string, found: string) => boolean,
): boolean {
  let at = 0
  let lastStar = -1
  let takenByStar = 0
  for (let index = 0; index < given.length;) {
    const wanted = pattern[at]
    if (wanted === star) {
      lastStar = at++
      takenByStar = index
    } else if (wanted !== undefined && isFit(wanted, given[index] ?? '')) {
      at++
      index++
    } else if (lastStar >= 0) {
      // The last star takes one more; those before it need not take another.
      at = lastStar + 1
      index = ++takenByStar
    } else return false
  }
  return pattern.slice(at).every((wanted) => wanted === star)
}
