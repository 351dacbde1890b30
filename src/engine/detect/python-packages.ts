import { linesOf, present, sectionsOf, type Tree } from './detected-build.js'

const VENV = ['RUN python -m venv /venv', 'ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH']

/** A line of a requirements.txt that leads to other files: `-r`, `-e .`, a path, a wheel. */
const LOCAL_REQUIREMENT =
  /^(?:-[rcef]|--(?:requirement|constraint|editable|find-links)|\.|[^#:;@]*(?:\/|\.(?:whl|zip|gz)\b))|\bfile:/
/** Packages of the repository, and what a build finds out from its files. */
const LOCAL_PROJECT = /\b(?:path|workspace)\s*=|\bfile:|^dynamic[ \t]*=/m

/** Lines that put packages into /venv, in a layer that stays while the manifest does, if that is all they need. */
export function installation(tree: Tree): string[] {
  const requirements = tree.texts.get('requirements.txt')
  if (requirements !== undefined) {
    const isLocal = linesOf(requirements).some((line) => LOCAL_REQUIREMENT.test(line))
    const copy = isLocal ? 'COPY . .' : 'COPY requirements.txt ./'
    return [...VENV, copy, 'RUN pip install --no-cache-dir -r requirements.txt']
  }
  const project = tree.texts.get('pyproject.toml') ?? ''
  const manifests = `COPY ${present(tree, ['pyproject.toml', 'uv.lock', 'poetry.lock']).join(' ')} ./`
  const by = (tool: string, install: string, isWhole = LOCAL_PROJECT.test(project)) => [
    `RUN pip install --no-cache-dir ${tool}`,
    ...VENV,
    isWhole ? 'COPY . .' : manifests,
    `RUN ${install}`,
  ]
  if (tree.paths.has('uv.lock')) {
    const sync = 'uv sync --frozen --no-dev --no-cache --active'
    return isPackage(tree, project)
      ? by('uv', `${sync} --no-editable`, true)
      : by('uv', `${sync} --no-install-project`)
  }
  if (tree.paths.has('poetry.lock') || /^\[tool\.poetry\b/m.test(project)) {
    const install = 'poetry install --only main --no-interaction'
    return isPoetryPackage(tree, project) ? by('poetry', install, true) : by('poetry', `${install} --no-root`)
  }
  if (isPackage(tree, project)) return [...VENV, 'COPY . .', 'RUN pip install --no-cache-dir .']
  // Files side by side are no package: building one fails. They run where they are.
  return /^\[project\]/m.test(project) ? by('uv', 'uv pip install --no-cache -r pyproject.toml') : VENV
}

/** By Poetry's own rule: it fails where it finds no folder or file of the project's name. */
function isPoetryPackage(tree: Tree, project: string): boolean {
  const own = [...sectionsOf(project, '[tool.poetry]'), ...sectionsOf(project, '[project]')].join('\n')
  if (!/^\[build-system\]/m.test(project) || /^package-mode[ \t]*=[ \t]*false/m.test(own)) return false
  const name = /^name[ \t]*=[ \t]*["']([\w.-]+)["']/m.exec(own)?.[1] ?? ''
  const module = name.toLowerCase().replace(/[.-]+/g, '_')
  return (
    /^packages[ \t]*=/m.test(own) ||
    present(tree, [`${module}/`, `${module}.py`, `src/${module}/`]).length > 0
  )
}

/** Whether it says how a package is made of it, or needs to be one for its commands. */
function isPackage(tree: Tree, project: string): boolean {
  const isDescribed =
    /^\[(?:tool\.(?:setuptools|hatch\.build|flit|pdm\.build|uv\.build-backend)|project\.(?:scripts|entry-points))\b/m
  return (
    /^\[build-system\]/m.test(project) &&
    (isDescribed.test(project) || present(tree, ['setup.py', 'setup.cfg', 'src/']).length > 0)
  )
}

/** Servers that a command calls, or takes its workers from, and that the manifest does not name. */
export function missingServers(tree: Tree, command: string): string[] {
  const called = command.matchAll(/(?:^|[\s/=])(gunicorn|uvicorn|hypercorn|daphne|granian|waitress)\b/g)
  const names = namedPackages(tree)
  return [...new Set([...called].flatMap(([, name = '']) => (names.has(name) ? [] : [name])))]
}

/** Those of requirements.txt and pyproject.toml that are installed for sure: no extras, no groups, no comments. As `a-b`. */
export function namedPackages(tree: Tree): ReadonlySet<string> {
  const requirements = tree.texts.get('requirements.txt')
  const project = tree.texts.get('pyproject.toml') ?? ''
  const entries =
    requirements !== undefined
      ? linesOf(requirements)
      : [
          ...sectionsOf(project, '[project]').flatMap(dependencyStrings),
          ...sectionsOf(project, '[tool.poetry.dependencies]').flatMap(linesOf),
        ]
  const names = entries.flatMap((entry) => /^[\w.-]+/.exec(entry.trim())?.[0] ?? [])
  return new Set(names.map((name) => name.toLowerCase().replace(/[._-]+/g, '-')))
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
