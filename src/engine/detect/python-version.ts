import { linesOf, type Problem, sectionsOf, type Tree } from './detected-build.js'
import { type ChosenVersion, chooseVersion, managedVersions, type VersionRules } from './tool-versions.js'

const RULES: VersionRules = {
  language: 'Python',
  known: ['3.14', '3.13', '3.12', '3.11', '3.10', '3.9', '3.8', '3.7', '3.6'],
  bounds: ['3.5', '3.20'],
  parts: 2,
  aliases: (text) => /^(?:c?python-)(\d.*)$/.exec(text)?.[1] ?? null,
  where: '.python-version',
}

/** Images of Python that may be taken where nobody asks for one. */
export const PYTHON_DEFAULTS = RULES.known.slice(0, 3)

export function pythonVersion(tree: Tree, isLocal: (version: string) => boolean): ChosenVersion | Problem {
  const project = tree.texts.get('pyproject.toml') ?? ''
  const pipfile = tree.texts.get('Pipfile') ?? ''
  const sources = [
    ...['.python-version', 'runtime.txt'].map((file) => ({ file, text: tree.texts.get(file) })),
    ...managedVersions(tree, ['python']),
    { file: 'Pipfile', text: valueIn(pipfile, '[requires]', 'python_') },
    { file: 'pyproject.toml', text: valueIn(project, '[project]', 'requires-python') },
    { file: 'pyproject.toml', text: valueIn(project, '[tool.poetry.dependencies]', 'python') },
  ]
  return chooseVersion(sources, RULES, isLocal)
}

function valueIn(text: string, header: string, key: string): string | undefined {
  const line = sectionsOf(text, header)
    .flatMap(linesOf)
    .find((one) => one.startsWith(key))
  return /^[\w-]+[ \t]*=[ \t]*["']([^"']*)["']/.exec(line ?? '')?.[1]
}
