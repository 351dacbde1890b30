import { objectOf, parseObject, stringOf } from './package-json.js'
import type { Tree } from './detected-build.js'

const DEPENDENCIES = ['dependencies', 'devDependencies', 'optionalDependencies']

/**
 * Whether a lock file was made for another package.json, as far as its beginning tells. A manager that is told to keep to
 * it fails then.
 */
export function isStaleLock(tree: Tree, lock: string): boolean {
  const manifest = parseObject(tree.texts.get('package.json') ?? '')
  const text = tree.texts.get(lock)
  if (!manifest || text === undefined) return false
  const wanted = new Map(
    DEPENDENCIES.flatMap((kind) => Object.entries(objectOf(manifest[kind]))).map(([name, value]) => [
      name,
      stringOf(value),
    ]),
  )
  if (lock === 'package-lock.json') return differs(wanted, npmRoot(text))
  return lock === 'pnpm-lock.yaml' && differs(wanted, pnpmRoot(text))
}

function differs(wanted: ReadonlyMap<string, string>, locked: ReadonlyMap<string, string> | null): boolean {
  // A version that refers to another place of the workspace is written in another way there.
  const isPlain = (version: string) => /^[\^~\d<>=*]/.test(version)
  return (
    locked !== null && [...wanted].some(([name, version]) => isPlain(version) && locked.get(name) !== version)
  )
}

/** The entry of the root in a lock file of version 2 or 3; it stands in front. */
function npmRoot(text: string): Map<string, string> | null {
  const at = /"packages":\s{0,20}\{\s{0,20}"":\s{0,20}\{/.exec(text)
  if (!at) return null
  const from = at.index + at[0].length - 1
  let depth = 0
  let isString = false
  for (let index = from; index < text.length; index++) {
    const character = text[index]
    if (isString && character === '\\') index++
    else if (character === '"') isString = !isString
    else if (!isString && character === '{') depth++
    else if (!isString && character === '}' && --depth === 0) {
      const root = parseObject(text.slice(from, index + 1))
      const entries = DEPENDENCIES.flatMap((kind) => Object.entries(objectOf(root?.[kind])))
      return new Map(entries.map(([name, value]) => [name, stringOf(value)]))
    }
  }
  return null
}

/** Specifiers of the importer `.`, of formats 6 and 9; null where its end is not there. */
function pnpmRoot(text: string): Map<string, string> | null {
  const lines = text.split('\n')
  const start = lines.indexOf('  .:')
  if (start < 0) return null
  const found = new Map<string, string>()
  let name = ''
  for (const line of lines.slice(start + 1)) {
    if (/^\S|^ {2}\S/.test(line)) return found
    name = /^ {6}'?([^\s':]+)'?:$/.exec(line)?.[1] ?? name
    const version = /^ {8}specifier: '?([^']+?)'?$/.exec(line)?.[1]
    if (version !== undefined) found.set(name, version)
  }
  return null
}
