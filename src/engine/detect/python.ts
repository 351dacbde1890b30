import { COLLECT_STATIC, collectsStatic, djangoPackage } from './python-django.js'
import { installation, missingServers } from './python-packages.js'
import { systemPackages } from './python-system.js'
import {
  debianPackages,
  type Detector,
  linesOf,
  NEVER_SENT,
  homeFolder,
  present,
  procfileCommand,
  runInstructions,
  sectionsOf,
  stages,
  type Tree,
  USER,
  withVersion,
} from './detected-build.js'
import { firstWithin } from './versions.js'

const PORT = 8000
const DEFAULT_VERSION = '3.13'
/** In the order in which they are taken where a range admits them. */
const VERSIONS = [DEFAULT_VERSION, '3.14', '3.12', '3.11', '3.10', '3.9', '3.8', '3.7']
const MANIFESTS = ['requirements.txt', 'uv.lock', 'poetry.lock', 'pyproject.toml', 'Pipfile']
const BIND = '0.0.0.0:$PORT'

export const detectPython: Detector = (tree, images) => {
  const files = present(tree, [...MANIFESTS, 'manage.py', 'Procfile'])
  const isPython = present(tree, [...MANIFESTS, 'manage.py', 'main.py', 'app.py', 'wsgi.py']).length > 0
  if (!isPython) return null
  const command = startOf(tree)
  if (command === null) {
    return {
      problem:
        'this is Python, but nothing says how to start it: add a Procfile with "web: …" that listens on $PORT',
    }
  }
  if (tree.paths.has('Pipfile') && !tree.paths.has('requirements.txt')) {
    return {
      problem: 'Pipfile is not supported: add a requirements.txt (pipenv requirements > requirements.txt)',
    }
  }
  const image = withVersion(images.python, versionOf(tree))
  return {
    language: 'Python',
    detectedBy: files.length > 0 ? files : present(tree, ['main.py', 'app.py', 'wsgi.py']),
    dockerfile: stages(buildStage(tree, image, command), runStage(tree, image, command)),
    ignore: [...NEVER_SENT, '**/__pycache__', '**/*.pyc', '.venv', 'venv'],
  }
}

function versionOf(tree: Tree): string {
  const texts = [tree.texts.get('.python-version'), tree.texts.get('runtime.txt')]
  for (const text of texts) {
    const version = /^(?:python-)?(3\.\d{1,2})(?:\.\d+)?$/.exec((text ?? '').trim())?.[1]
    if (version) return version
  }
  return firstWithin(rangeIn(tree.texts.get('pyproject.toml') ?? ''), VERSIONS) ?? DEFAULT_VERSION
}

function rangeIn(project: string): string {
  const valueOf = (header: string, key: string) => {
    const line =
      sectionsOf(project, header)
        .flatMap(linesOf)
        .find((one) => one.startsWith(key)) ?? ''
    return /^[\w-]+[ \t]*=[ \t]*["']([^"']*)["']/.exec(line)?.[1]
  }
  return valueOf('[project]', 'requires-python') ?? valueOf('[tool.poetry.dependencies]', 'python') ?? ''
}

/** The command that starts it. */
function startOf(tree: Tree): string | null {
  const line = procfileCommand(tree)
  if (line) return line
  const django = djangoPackage(tree.texts.get('manage.py'))
  return django === null ? guess(tree) : wsgi(`${django}.wsgi`)
}

/** Where frameworks' examples put the application, in the order in which it is looked for. */
const MODULES = ['main', 'app', 'wsgi', 'asgi', 'server', 'application', 'api', 'app.main', 'app.__init__']

function guess(tree: Tree): string | null {
  for (const module of MODULES) {
    const text = tree.texts.get(`${module.replaceAll('.', '/')}.py`) ?? ''
    const [, name, framework] =
      /^(\w+)(?:[ \t]*:[ \t]*\w+)?[ \t]*=[ \t]*(?:\w+\.)?(FastAPI|Starlette|Litestar|Quart|Flask|get_wsgi_application|get_asgi_application)\(/m.exec(
        text,
      ) ?? []
    if (!name || !framework) continue
    const target = `${module.replace('.__init__', '')}:${name}`
    return /Flask|wsgi/.test(framework) ? wsgi(target) : asgi(target)
  }
  const factory =
    present(tree, ['wsgi.py']).length > 0
      ? /^(application|app)[ \t]*=/m.exec(tree.texts.get('wsgi.py') ?? '')?.[1]
      : null
  if (factory) return wsgi(`wsgi:${factory}`)
  const script = present(tree, ['main.py', 'app.py', 'server.py', 'run.py'])[0]
  return script === undefined ? null : `python ${script}`
}

function wsgi(application: string): string {
  return `gunicorn --bind ${BIND} ${application}`
}

function asgi(application: string): string {
  return `uvicorn --host 0.0.0.0 --port $PORT ${application}`
}

function buildStage(tree: Tree, image: string, command: string): string[] {
  const servers = missingServers(tree, command)
  return [
    `FROM ${image} AS build`,
    ...debianPackages(systemPackages(tree).build),
    'WORKDIR /app',
    ...installation(tree),
    ...(servers.length === 0
      ? []
      : [`RUN /venv/bin/python -m pip install --no-cache-dir ${servers.join(' ')}`]),
  ]
}

function runStage(tree: Tree, image: string, command: string): string[] {
  const collects = collectsStatic(tree) && !command.includes('collectstatic')
  return [
    `FROM ${image}`,
    ...debianPackages(systemPackages(tree).run),
    'ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1',
    ...homeFolder(),
    'COPY --from=build /venv /venv',
    `COPY --chown=${USER} . .`,
    ...runInstructions(PORT, command, collects ? [COLLECT_STATIC] : []),
  ]
}
