import { posix } from 'node:path'
import { DeployError } from '../errors.js'
import { IgnorePattern } from './ignore-pattern.js'

export interface IgnoreRules {
  ignores(path: string): boolean
}

interface Rule {
  readonly pattern: IgnorePattern
  /** It takes back what others leave out. */
  readonly isNegated: boolean
}

/** Each line is compared with each path: what is longer is not written by hand. */
export const MAX_IGNORE_BYTES = 64 * 1024

/**
 * What the text of a `.dockerignore` leaves out, as moby's patternmatcher reads it.
 *
 * @throws SyntaxError on a line that {@link checkIgnoreFile} would name
 */
export function ignoreRules(text: string): IgnoreRules {
  const rules = text.split('\n').flatMap((line) => ruleOf(line) ?? [])
  return {
    ignores: (path) => {
      let isIgnored = false
      for (const { pattern, isNegated } of rules) {
        if (isIgnored === isNegated && pattern.matches(path)) isIgnored = !isNegated
      }
      return isIgnored
    },
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
      ruleOf(line)
    } catch (cause) {
      const message = `line ${index + 1} of ${path} is not a pattern: "${line.trim().slice(0, 200)}", ${(cause as Error).message}. A backslash before a character takes its meaning away`
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
function ruleOf(line: string): Rule | null {
  // The mark that some editors put in front of a text.
  const said = line.replace(/^\uFEFF/, '')
  const text = said.trim()
  if (said.startsWith('#') || text === '') return null
  const isNegated = text.startsWith('!')
  const path = (isNegated ? text.slice(1) : text).trim()
  if (path === '') return null
  const clean = posix.normalize(path).replace(/(?<=.)\/$/, '')
  return { pattern: new IgnorePattern(clean.replace(/^\/(?=.)/, '')), isNegated }
}
