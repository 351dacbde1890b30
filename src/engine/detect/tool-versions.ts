import { firstWithin } from './versions.js'
import { linesOf, type Problem, sectionsOf, type Tree } from './detected-build.js'

/** A file that may name a version, and what it says there. */
export interface VersionSource {
  readonly file: string
  readonly text: string | undefined
}

/** How versions of a language are named, and which its images have. */
export interface VersionRules {
  readonly language: string
  /** In the order in which they are taken where a range admits several: the first is the default. */
  readonly known: readonly string[]
  /** The oldest and the newest that may be named exactly: newer images than this Longshore knows may be there by now. */
  readonly bounds: readonly [oldest: string, newest: string]
  /** How many parts an image's name has. */
  readonly parts: 1 | 2
  /** Names such as `lts/*`. */
  readonly aliases: (text: string) => string | null
  /** What to write a version into, in the words of a message. */
  readonly where: string
}

export interface ChosenVersion {
  readonly version: string
  /** Where it comes from, in the words of the log. */
  readonly note: string
}

/** Newest of `known` whose image may take the place of the default's, if the engine has that one alone. */
const STAND_INS = 3

/**
 * The version that the first of these files names, exactly or as a range; else the default. What the engine has already
 * comes first where nobody asked for one exactly: a machine without a registry builds with what it has.
 *
 * @param isLocal whether the engine has the image of a version
 */
export function chooseVersion(
  sources: readonly VersionSource[],
  rules: VersionRules,
  isLocal: (version: string) => boolean,
): ChosenVersion | Problem {
  const { language, known, where } = rules
  const notUnderstood: string[] = []
  for (const { file, text } of sources) {
    const asked = text === undefined ? '' : firstLine(text)
    if (asked === '') continue
    const exact = exactVersion(rules.aliases(asked) ?? asked, rules)
    if (exact === null && !isRange(asked)) {
      notUnderstood.push(file)
      continue
    }
    if (exact === null) {
      const within = known.filter((version) => firstWithin(asked, [version]) !== null)
      if (within.length === 0) return doesNotExist(rules, file)
      return { version: preferred(within, isLocal), note: `by ${file}` }
    }
    if (!isWithin(exact, rules)) return doesNotExist(rules, file)
    return { version: exact, note: `by ${file}` }
  }
  const version = preferred(known, isLocal)
  const unread = notUnderstood.map((file) => `; what ${file} says is not understood`).join('')
  const why =
    version === known[0] ? 'the default' : `of the default, ${language} ${known[0]}, the engine has no image`
  return { version, note: `${why}; name one in ${where}${unread}` }
}

function preferred(versions: readonly string[], isLocal: (version: string) => boolean): string {
  const [first = ''] = versions
  return versions.slice(0, STAND_INS).find(isLocal) ?? first
}

function doesNotExist({ language, known, where }: VersionRules, file: string): Problem {
  const newest = [...known].sort((a, b) => compareVersions(b, a)).slice(0, 5)
  return {
    problem: `${file} asks for a version of ${language} that does not exist or has no image: name one such as ${newest.join(', ')} in ${where}`,
  }
}

/** Comments and lines after the first are no part of a version. */
function firstLine(text: string): string {
  const lines = linesOf(text).map((line) => line.replace(/(?:^|\s)#.*$/, '').trim())
  return lines.find((line) => line !== '') ?? ''
}

function isRange(text: string): boolean {
  return text.length <= 200 && /^[\d.\sx*X<>=^~!|,v-]+$/.test(text) && /[\d*xX]/.test(text)
}

function exactVersion(text: string, { parts }: VersionRules): string | null {
  const numbers = /^[v^~=]?(\d{1,3})((?:\.[\dx*]{1,6}){0,3})(?:-[\w.]{1,20})?$/.exec(text)
  if (!numbers) return null
  const [, major = '', rest = ''] = numbers
  if (parts === 1) return major
  // `^3.10` and `3` are ranges where an image's name has two parts.
  const minor = /^\.(\d{1,3})/.exec(rest)?.[1]
  return minor === undefined || /^[\^~]/.test(text) ? null : `${major}.${minor}`
}

function isWithin(version: string, { bounds: [oldest, newest] }: VersionRules): boolean {
  return compareVersions(version, oldest) >= 0 && compareVersions(version, newest) <= 0
}

function compareVersions(a: string, b: string): number {
  const [major = 0, minor = 0] = a.split('.').map(Number)
  const [otherMajor = 0, otherMinor = 0] = b.split('.').map(Number)
  return major - otherMajor || minor - otherMinor
}

/** What the files of asdf and mise say of a tool that has one of these names. */
export function managedVersions(tree: Tree, names: readonly string[]): VersionSource[] {
  const asdf = linesOf(tree.texts.get('.tool-versions') ?? '').map((line) => line.split(/\s+/))
  const mise = ['mise.toml', '.mise.toml'].map((file) => ({
    file,
    text: sectionsOf(tree.texts.get(file) ?? '', '[tools]')
      .flatMap(linesOf)
      .flatMap((line) => miseVersion(line, names))[0],
  }))
  return [{ file: '.tool-versions', text: asdf.find(([name = '']) => names.includes(name))?.[1] }, ...mise]
}

/** `node = "20"`, `node = ["20", "18"]`, `node = { version = "20" }`. */
function miseVersion(line: string, names: readonly string[]): string[] {
  const [, name = '', version = ''] =
    /^["']?(?:core:)?([\w-]+)["']?[ \t]*=[ \t]*(?:\[[ \t]*|\{[^"'}]{0,40}\bversion[ \t]*=[ \t]*)?["']([^"']{1,60})["']/.exec(
      line,
    ) ?? []
  return names.includes(name) ? [version] : []
}
