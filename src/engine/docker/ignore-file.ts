import { posix } from 'node:path'
import { DeployError } from '../errors.js'
import { StepBudget } from '../paths/step-budget.js'
import { StepBudgetError, PathMatcher } from '../paths/path-matcher.js'
import { type Pattern, withBelow } from '../paths/pattern.js'
import { oneLine } from '../quoted-text.js'
import { ignorePattern } from './ignore-pattern.js'

export interface IgnoreFile {
  /** As it is named in messages. */
  readonly path: string
  readonly text: string
}

interface Rule {
  readonly pattern: Pattern
  /** It takes back what others leave out. */
  readonly isNegated: boolean
  /** In the file; null: it is one of Longshore's own. */
  readonly line: number | null
}

/** What is longer is not written by hand. */
export const MAX_IGNORE_BYTES = 64 * 1024
/** Some seconds of processor: half of it goes for 1,800 lines of which each names some of 50,000 paths by its last letters. */
const MAX_STEPS = 50_000_000

/**
 * What of the paths is left out, as moby's patternmatcher reads a `.dockerignore`: the last line that names a path, or a
 * folder that it is in, decides. Yields to the event loop meanwhile.
 *
 * @param own lines before those of the file
 * @throws SyntaxError on a line that {@link checkIgnoreFile} would name
 * @throws DeployError DOCKERIGNORE_INVALID with the line when the paths cannot be compared with it in {@link MAX_STEPS}
 */
export async function ignoredOf(
  paths: readonly string[],
  file: IgnoreFile | null,
  { own = [], signal }: { readonly own?: readonly string[]; readonly signal?: AbortSignal } = {},
): Promise<Set<string>> {
  const lines = file?.text.split('\n') ?? []
  const rules = [
    ...own.flatMap((line) => ruleOf(line, null) ?? []),
    ...lines.flatMap((line, index) => ruleOf(line, index + 1) ?? []),
  ]
  const compared = new PathMatcher(rules.map(({ pattern }) => withBelow(pattern)))
  try {
    const last = await compared.lastMatches(paths, new StepBudget(MAX_STEPS, signal))
    return new Set(paths.filter((_, index) => rules[last[index] ?? -1]?.isNegated === false))
  } catch (error) {
    if (!(error instanceof StepBudgetError)) throw error
    const line = error.rules.flatMap((rule) => rules[rule]?.line ?? [])[0] ?? 1
    const message = `line ${line} of ${file?.path} takes too long to match against the ${paths.length} paths of the context: "${shown(lines[line - 1])}". Use fewer stars, or fewer lines`
    throw new DeployError('DOCKERIGNORE_INVALID', message, { cause: error })
  }
}

/**
 * Looks at each line before anything is sent.
 *
 * @throws DeployError DOCKERIGNORE_INVALID with the path of the file and the line
 */
export function checkIgnoreFile(text: string, path: string): void {
  checkIgnoreSize(Buffer.byteLength(text), path)
  for (const [index, line] of text.split('\n').entries()) {
    try {
      ruleOf(line, index + 1)
    } catch (cause) {
      const message = `line ${index + 1} of ${path} is not a valid pattern: "${shown(line)}", ${(cause as Error).message}. Escape special characters with a backslash`
      throw new DeployError('DOCKERIGNORE_INVALID', message, { cause })
    }
  }
}

/** @throws DeployError DOCKERIGNORE_INVALID when a file of so many bytes is too long to be read */
export function checkIgnoreSize(bytes: number, path: string): void {
  if (bytes <= MAX_IGNORE_BYTES) return
  throw new DeployError('DOCKERIGNORE_INVALID', `${path} is longer than ${MAX_IGNORE_BYTES / 1024} KiB`)
}

/** Null: the line says nothing. */
function ruleOf(text: string, line: number | null): Rule | null {
  // The mark that some editors put in front of a text.
  const said = text.replace(/^\uFEFF/, '')
  const trimmed = said.trim()
  if (said.startsWith('#') || trimmed === '') return null
  const isNegated = trimmed.startsWith('!')
  const path = (isNegated ? trimmed.slice(1) : trimmed).trim()
  if (path === '') return null
  const clean = posix.normalize(path).replace(/(?<=.)\/$/, '')
  return { pattern: ignorePattern(clean.replace(/^\/(?=.)/, '')), isNegated, line }
}

function shown(line = ''): string {
  return oneLine(line, 200)
}
