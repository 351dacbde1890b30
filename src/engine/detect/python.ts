import { COLLECT_STATIC, collectsStatic, djangoPackage } from './python-django.js'
import { installation, missingServers } from './python-packages.js'
import { systemPackages } from './python-system.js'
import {
  debianPackages,
  type Detector,
  NEVER_SENT,
  homeFolder,
  isLocalIn,
  present,
  procfileCommand,
  runInstructions,
  stages,
  type Tree,
  USER,
  withVersion,
} from './detected-build.js'
import { pythonVersion } from './python-version.js'

const PORT = 8000
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
  const chosen = pythonVersion(tree, isLocalIn(images, images.python))
  if ('problem' in chosen) return chosen
  const image = withVersion(images.python, chosen.version)
  return {
    language: 'Python',
    notes: [`Python ${chosen.version}: ${chosen.note}`],
    detectedBy: files.length > 0 ? files : present(tree, ['main.py', 'app.py', 'wsgi.py']),
    dockerfile: stages(buildStage(tree, image, command), runStage(tree, image, command)),
    ignore: [...NEVER_SENT, '**/__pycache__', '**/*.pyc', '.venv', 'venv'],
  }
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
