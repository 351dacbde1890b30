import { linesOf, present, sectionsOf, type Tree } from './detected-build.js'

const VENV = ['RUN python -m venv /venv', 'ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH']

/** A line of a requirements.txt that leads to other files: `-r`, `-e .`, a path, a wheel. */
const LOCAL_REQUIREMENT =
  /^(?:-[rcef]|--(?:requirement|constraint|editable|find-links)|\.|[^#:;@]*(?:\/|\.(?:whl|zip|gz)\b))|\bfile:/
/** Packages of the repository, and what a build finds out from its files. */
const LOCAL_PROJECT = /\b(?:path|workspace)\s*=|\bfile:|^dynamic[ \t]*=/m

const COMPILER =
  'command -v gcc || { apt-get update && apt-get install -y --no-install-recommends build-essential; }'
const HINT =
  'packages could not be installed: one without a wheel for this Python may have one for another, such as 3.12 (.python-version)'

/** A package without a wheel is compiled: with a compiler that is fetched only then. */
export function withCompiler(install: string): string {
  return `RUN ${install} || { { ${COMPILER}; } && ${install}; } || { echo '${HINT}'; exit 1; }`
}

/** What its lock file says, or else what it finds now. */
function byPipenv(tree: Tree): string[] {
  const lock = tree.paths.has('Pipfile.lock') ? '' : 'pipenv lock && '
  const isLocal = LOCAL_PROJECT.test(tree.texts.get('Pipfile') ?? '')
  return [
    'RUN pip install --no-cache-dir pipenv',
    ...VENV,
    isLocal ? 'COPY . .' : `COPY ${present(tree, ['Pipfile', 'Pipfile.lock']).join(' ')} ./`,
    `RUN ${lock}pipenv requirements > /tmp/requirements.txt`,
    withCompiler('pip install --no-cache-dir -r /tmp/requirements.txt'),
  ]
}

/** Lines that put packages into /venv, in a layer that stays while the manifest does, if that is all they need. */
export function installation(tree: Tree): string[] {
  const requirements = tree.texts.get('requirements.txt')
  if (requirements !== undefined) {
    const isLocal = linesOf(requirements).some((line) => LOCAL_REQUIREMENT.test(line))
    const copy = isLocal ? 'COPY . .' : 'COPY requirements.txt ./'
    return [...VENV, copy, withCompiler('pip install --no-cache-dir -r requirements.txt')]
  }
  if (tree.paths.has('Pipfile')) return byPipenv(tree)
  const project = tree.texts.get('pyproject.toml') ?? ''
  const manifests = `COPY ${present(tree, ['pyproject.toml', 'uv.lock', 'poetry.lock']).join(' ')} ./`
  const by = (tool: string, install: string, isWhole = LOCAL_PROJECT.test(project)) => [
    `RUN pip install --no-cache-dir ${tool}`,
    ...VENV,
    isWhole ? 'COPY . .' : manifests,
    withCompiler(install),
  ]
  if (tree.paths.has('uv.lock')) {
    const sync = 'uv sync --frozen --no-dev --no-cache --active'
    return isPackage(tree, project)
      ? by('uv', `${sync} --no-editable`, true)
      : by('uv', `${sync} --no-install-project`)
  }
  if (isByPoetry(tree, project)) {
    const install = 'poetry install --only main --no-interaction'
    return isPoetryPackage(tree, project) ? by('poetry', install, true) : by('poetry', `${install} --no-root`)
  }
  if (isInstalled(tree)) return [...VENV, 'COPY . .', withCompiler('pip install --no-cache-dir .')]
  // Files side by side are no package: building one fails. They run where they are.
  return /^\[project\]/m.test(project) ? by('uv', 'uv pip install --no-cache -r pyproject.toml') : VENV
}

/** Whether the project itself is installed, with its commands. */
export function isInstalled(tree: Tree): boolean {
  const project = tree.texts.get('pyproject.toml') ?? ''
  if (tree.paths.has('requirements.txt') || tree.paths.has('Pipfile')) return false
  if (isByPoetry(tree, project)) return isPoetryPackage(tree, project)
  return isPackage(tree, project) || present(tree, ['setup.py', 'setup.cfg']).length > 0
}

function isByPoetry(tree: Tree, project: string): boolean {
  return !tree.paths.has('uv.lock') && (tree.paths.has('poetry.lock') || /^\[tool\.poetry\b/m.test(project))
}

/** Names of the commands that the project installs. */
export function projectScripts(tree: Tree): string[] {
  const project = tree.texts.get('pyproject.toml') ?? ''
  const sections = ['[project.scripts]', '[tool.poetry.scripts]'].flatMap((header) =>
    sectionsOf(project, header),
  )
  const lines = sections
    .flatMap(linesOf)
    .flatMap((line) => /^["']?([\w.-]+)["']?[ \t]*=[ \t]*["'{]/.exec(line)?.[1] ?? [])
  const setup = `${tree.texts.get('setup.py') ?? ''}\n${tree.texts.get('setup.cfg') ?? ''}`
  const [, list = ''] = /console_scripts([^\])]{0,2000})/.exec(setup) ?? []
  const old = [...list.matchAll(/(?:^|["'\s])([\w.-]{1,80}) {0,5}= {0,5}[\w.]{1,80}:/g)].map(
    ([, name = '']) => name,
  )
  return [...lines, ...old]
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
