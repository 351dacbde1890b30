import { createRequire } from 'node:module'
import { DeployError } from '../errors.js'

// A CommonJS module whose types say otherwise.
const dockerignore = createRequire(import.meta.url)('@balena/dockerignore') as (options: {
  ignorecase: boolean
}) => IgnoreRules & { add(patterns: string): IgnoreRules }

export interface IgnoreRules {
  ignores(path: string): boolean
}

/** What means itself in a pattern, and something else in the expressions that the library makes of patterns; or is escaped. */
const LITERAL = /\\.|[+(){}|]/g

/** What the text of a `.dockerignore` leaves out. */
export function ignoreRules(text: string): IgnoreRules {
  const escaped = text.replace(LITERAL, (found) => (found.startsWith('\\') ? found : `\\${found}`))
  return dockerignore({ ignorecase: false }).add(escaped)
}

/**
 * Looks at each line before anything is sent: the library reads a pattern when the first path is compared with it.
 *
 * @throws DeployError DOCKERIGNORE_INVALID with the path of the file and the line
 */
export function checkIgnoreFile(text: string, path: string): void {
  for (const [index, line] of text.split('\n').entries()) {
    try {
      ignoreRules(line).ignores('any')
    } catch (cause) {
      const message = `line ${index + 1} of ${path} is not a pattern: "${line.trim().slice(0, 200)}". A backslash before a character takes its meaning away`
      throw new DeployError('DOCKERIGNORE_INVALID', message, { cause })
    }
  }
}
