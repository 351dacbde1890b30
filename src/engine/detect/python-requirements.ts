import { linesOf, sectionsOf, type Tree } from './detected-build.js'

/** A package that is installed for sure, with its name as `a-b`. */
export interface Requirement {
  readonly name: string
  readonly extras: readonly string[]
}

/** Servers that a command calls, or takes its workers from, and that the manifest does not name. */
export function missingServers(tree: Tree, command: string): string[] {
  const called = command.matchAll(/(?:^|[\s/=])(gunicorn|uvicorn|hypercorn|daphne|granian|waitress)\b/g)
  const names = namedPackages(tree)
  return [...new Set([...called].flatMap(([, name = '']) => (names.has(name) ? [] : [name])))]
}

export function namedPackages(tree: Tree): ReadonlySet<string> {
  return new Set(requirementsOf(tree).map(({ name }) => name))
}

/** Those of requirements.txt, Pipfile or pyproject.toml: no extras of the project, no groups, no comments. */
export function requirementsOf(tree: Tree): Requirement[] {
  const requirements = tree.texts.get('requirements.txt')
  const project = tree.texts.get('pyproject.toml') ?? ''
  const entries =
    requirements !== undefined
      ? linesOf(requirements)
      : [
          ...sectionsOf(tree.texts.get('Pipfile') ?? '', '[packages]').flatMap(linesOf),
          ...sectionsOf(project, '[project]').flatMap(dependencyStrings),
          ...sectionsOf(project, '[tool.poetry.dependencies]').flatMap(linesOf),
        ]
  return entries.flatMap((entry) => {
    // `name[extra]==1`, and in TOML `name = { extras = ["extra"] }`.
    const [, name, own, listed] =
      /^([\w.-]+)(?:[ \t]*\[([\w, -]{0,200})\]|[ \t]*=[ \t]*\{[^}]{0,200}\bextras[ \t]*=[ \t]*\[([^\]]{0,200})\])?/.exec(
        entry.trim(),
      ) ?? []
    if (name === undefined) return []
    const extras = (own ?? listed ?? '').match(/[\w-]+/g) ?? []
    return [{ name: name.toLowerCase().replace(/[._-]+/g, '-'), extras }]
  })
}

function dependencyStrings(section: string): string[] {
  const [, list = ''] = section.split(/^dependencies[ \t]*=[ \t]*\[/m)
  const found: string[] = []
  for (const [token] of list.matchAll(/#[^\n]*|"[^"\n]*"|'[^'\n]*'|\]/g)) {
    if (token === ']') break
    if (!token.startsWith('#')) found.push(token.slice(1, -1))
  }
  return found
}
