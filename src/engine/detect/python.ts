import { COLLECT_STATIC, collectsStatic } from './python-django.js'
import { installation } from './python-packages.js'
import { missingServers } from './python-requirements.js'
import { pythonStart } from './python-start.js'
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
/** Servers for development listen on 127.0.0.1 unless they are told otherwise. */
const REACHABLE = 'ENV HOST=0.0.0.0 FLASK_RUN_HOST=0.0.0.0 UVICORN_HOST=0.0.0.0 GRADIO_SERVER_NAME=0.0.0.0'

const MANIFESTS = [
  ...['requirements.txt', 'uv.lock', 'poetry.lock', 'pyproject.toml', 'Pipfile.lock', 'Pipfile'],
  ...['setup.py', 'setup.cfg'],
]
const PROGRAMS = ['main.py', 'app.py', 'wsgi.py', 'server.py', 'run.py', 'streamlit_app.py']

export const detectPython: Detector = (tree, images) => {
  const files = present(tree, [...MANIFESTS, 'manage.py', 'Procfile'])
  const isPython = present(tree, [...MANIFESTS, 'manage.py', 'main.py', 'app.py', 'wsgi.py']).length > 0
  if (!isPython && !isStartedByPython(tree)) return null
  const start = pythonStart(tree)
  if (start === null) {
    return {
      problem:
        'this is Python, but nothing says how to start it: add a Procfile with "web: …" that listens on $PORT',
    }
  }
  const { command } = start
  const chosen = pythonVersion(tree, isLocalIn(images, images.python))
  if ('problem' in chosen) return chosen
  const image = withVersion(images.python, chosen.version)
  return {
    language: 'Python',
    notes: [`Python ${chosen.version}: ${chosen.note}`, ...start.notes],
    detectedBy: files.length > 0 ? files : present(tree, PROGRAMS),
    dockerfile: stages(buildStage(tree, image, command), runStage(tree, image, command)),
    ignore: [...NEVER_SENT, '**/__pycache__', '**/*.pyc', '.venv', 'venv'],
  }
}

/** A Procfile that calls it, where there is nothing to install. */
function isStartedByPython(tree: Tree): boolean {
  const isCalled = /^(?:exec )?(?:\S+=\S+ )*(?:python3?|gunicorn|uvicorn|hypercorn|daphne|granian)\b/.test(
    procfileCommand(tree) ?? '',
  )
  return isCalled && !tree.paths.has('package.json')
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
    REACHABLE,
    ...homeFolder(),
    'COPY --from=build /venv /venv',
    `COPY --chown=${USER} . .`,
    ...runInstructions(PORT, command, collects ? [COLLECT_STATIC] : []),
  ]
}
