import { djangoServer } from './python-django.js'
import { isInstalled, projectScripts } from './python-packages.js'
import { namedPackages } from './python-requirements.js'
import { present, procfileCommand, type Tree } from './detected-build.js'

/** How a program of Python is started: a shell command, and what the log says of it. */
export interface PythonStart {
  readonly command: string
  readonly notes: readonly string[]
}

const BIND = '0.0.0.0:$PORT'
/** Where frameworks' examples put the application, in the order in which it is looked for. */
const MODULES = ['main', 'app', 'wsgi', 'asgi', 'server', 'application', 'api', 'app.main', 'app.__init__']
const SCRIPTS = ['main.py', 'app.py', 'server.py', 'run.py']

/** Frameworks, and the kind of server that runs what they make. */
const ASGI = [
  'FastAPI',
  'Starlette',
  'Litestar',
  'Quart',
  'FastHTML',
  'fast_app',
  'BlackSheep',
  'get_asgi_application',
]
const WSGI = ['Flask', 'APIFlask', 'Bottle', 'get_wsgi_application']
const MADE = new RegExp(
  String.raw`^(\w+)(?:[ \t]*,[ \t]*\w+)*(?:[ \t]*:[ \t]*[\w.]+)?[ \t]*=[ \t]*(?:\w+\.)?(Sanic|${[...ASGI, ...WSGI].join('|')})\(`,
  'm',
)
const BY_FACTORY =
  /^(\w+)(?:[ \t]*:[ \t]*[\w.]+)?[ \t]*=[ \t]*(?:\w+\.)?(?:create|make|build|init)_(?:app|application)\(/m
const FACTORY = /^(?:async )?def ((?:create|make|build)_(?:app|application))\(/m

/** Null: nothing says how. */
export function pythonStart(tree: Tree): PythonStart | null {
  const line = procfileCommand(tree)
  if (line !== null) return reachable(tree, line)
  const command = djangoServer(tree) ?? served(tree) ?? factory(tree) ?? scriptOf(tree)
  return command === null ? null : { command, notes: [] }
}

/** Flask's own server is for development, and listens where nobody else gets to. */
function reachable(tree: Tree, line: string): PythonStart {
  if (/^(?:python3? -m )?flask run\b(?!.* (?:-p|--port)\b)/.test(line))
    return { command: `FLASK_RUN_PORT=$PORT ${line}`, notes: [] }
  const script = /^(?:exec )?python3? (\w+)\.py$/.exec(line)?.[1]
  const text = script === undefined ? '' : (tree.texts.get(`${script}.py`) ?? '')
  const [, name, framework] = MADE.exec(text) ?? []
  const isLocal = /\.run\((?![^)]*\bhost\b)/.test(text)
  if (name === undefined || framework !== 'Flask' || !isLocal) return { command: line, notes: [] }
  const note = `${script}.py calls run() of Flask without a host: that listens on 127.0.0.1 only, so gunicorn is started instead`
  return { command: wsgi(`${script}:${name}`), notes: [note] }
}

/** Those of the root and of packages in it, by the name that they are imported by. */
function modules(tree: Tree): (readonly [module: string, text: string])[] {
  const usual = MODULES.map((module) => [module, `${module.replaceAll('.', '/')}.py`] as const)
  const inner = [...tree.texts.keys()].sort().flatMap((path) => {
    const [, source, folder, file] = /^(src\/)?(\w+)\/(main|app|__init__|asgi|wsgi)\.py$/.exec(path) ?? []
    if (folder === undefined || folder === 'src' || /^tests?$/.test(folder)) return []
    // Below src/ nothing is found but what is installed.
    return source !== undefined && !isInstalled(tree) ? [] : [[`${folder}.${file}`, path] as const]
  })
  const all = [...usual, ...inner].flatMap(([module, path]) => {
    const text = tree.texts.get(path)
    return text === undefined ? [] : [[module.replace('.__init__', ''), text] as const]
  })
  return all
}

function served(tree: Tree): string | null {
  const found = modules(tree)
  for (const [module, text] of found) {
    const [, name, framework = ''] = MADE.exec(text) ?? []
    if (name === undefined) continue
    if (framework === 'Sanic') return `sanic ${module}:${name} --host 0.0.0.0 --port $PORT`
    return ASGI.includes(framework) ? asgi(`${module}:${name}`) : wsgi(`${module}:${name}`)
  }
  for (const [module, text] of found) {
    const isModule = module === 'wsgi'
    const named =
      BY_FACTORY.exec(text)?.[1] ?? (isModule ? /^(application|app)[ \t]*=/m.exec(text)?.[1] : null)
    if (named) return isModule || isWsgi(tree, text) ? wsgi(`${module}:${named}`) : asgi(`${module}:${named}`)
  }
  return scripted(tree)
}

/** By what the text or, where that does not tell, the packages name. */
function isWsgi(tree: Tree, text: string): boolean {
  if (/\b(?:fastapi|starlette|litestar|quart|fasthtml|blacksheep)\b/i.test(text)) return false
  const isAsync = (name: string) =>
    /^(?:fastapi|starlette|litestar|quart|python-fasthtml|blacksheep)$/.test(name)
  return /\bflask\b/i.test(text) || ![...namedPackages(tree)].some(isAsync)
}

/** Frameworks that have a program of their own which runs a file. */
function scripted(tree: Tree): string | null {
  for (const file of ['streamlit_app.py', ...SCRIPTS]) {
    if (
      /^(?:import|from) streamlit\b/m.test(tree.texts.get(file) ?? '') ||
      (file === 'streamlit_app.py' && tree.paths.has(file))
    )
      return `streamlit run ${file} --server.address 0.0.0.0 --server.port $PORT --server.headless true`
  }
  return null
}

/** An application that is made when a server asks for it. */
function factory(tree: Tree): string | null {
  for (const [module, text] of modules(tree)) {
    const name = FACTORY.exec(text)?.[1]
    if (name === undefined) continue
    if (!isWsgi(tree, text)) return asgi(`--factory ${module}:${name}`)
    return `exec ${wsgi(`'${module}:${name}()'`)}`
  }
  return null
}

/** A command of the package, or a file. */
function scriptOf(tree: Tree): string | null {
  const names = isInstalled(tree) ? projectScripts(tree) : []
  const usual = names.find((name) => /^(?:serve|server|web|start|app|api)$/.test(name))
  const script = names.length === 1 ? names[0] : usual
  if (script !== undefined) return script
  const file = present(tree, SCRIPTS)[0]
  if (file === undefined) return null
  const isGradio = /^(?:import|from) gradio\b/m.test(tree.texts.get(file) ?? '')
  return `${isGradio ? 'GRADIO_SERVER_PORT=$PORT ' : ''}python ${file}`
}

export function wsgi(application: string): string {
  return `gunicorn --bind ${BIND} ${application}`
}

export function asgi(application: string): string {
  return `uvicorn --host 0.0.0.0 --port $PORT ${application}`
}
