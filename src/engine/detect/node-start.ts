import type { Manager } from './node-managers.js'
import type { Package } from './package-json.js'
import { ASSIGNMENT, type Problem, procfileCommand, type Tree } from './recipe.js'

/** What the container runs. */
export interface Start {
  readonly command: readonly string[] | string
  /** It, and the scripts that it calls. */
  readonly lines: readonly string[]
}

/** Servers of pages under development, which are no way to serve them to others. */
const DEVELOPMENT =
  /^(?:react-scripts start|vue-cli-service serve|ng serve|astro dev|gatsby develop|parcel(?! build)|vite(?! (?:build|preview))|vite preview(?!.*--port)|nuxi (?:dev|preview)|nuxt(?! (?:start|build|generate)))(?=\s|$)/

/** Null: there is nothing that runs; what a build makes are pages. */
export function startOf(tree: Tree, found: Package, manager: Manager): Start | Problem | null {
  const line = procfileCommand(tree)
  const script = line === null ? startScript(found) : calledScript(line, found)
  if (script !== null) return ofScript(script, found, manager)
  const made = line === null ? ofFramework(found) : null
  if (made && 'problem' in made) return made
  const file = [found.main ?? '', 'server.js', 'index.js', 'app.js'].find((name) => tree.paths.has(name))
  const command = line ?? made ?? (file === undefined ? null : ['node', file])
  if (command === null) return null
  return { command, lines: linesOf(typeof command === 'string' ? command : command.join(' '), found) }
}

/** Whether it is Node.js that is started, by the Procfile, a script or a file that is there. */
export function saysStart(tree: Tree, found: Package): boolean {
  const line = procfileCommand(tree) ?? ''
  if (/\b(?:python3?|gunicorn|uvicorn|hypercorn|daphne|granian|waitress)\b/.test(line)) return false
  if (/\b(?:node|npm|npx|pnpm|yarn) /.test(line)) return true
  return startScript(found) !== null || tree.paths.has(found.main ?? '')
}

/** `start` of NestJS compiles what it starts; `start:prod` is for here. */
function startScript({ scripts }: Package): string | null {
  if (scripts.has('start:prod')) return 'start:prod'
  const start = scripts.get('start')
  return start === undefined || (DEVELOPMENT.test(start) && scripts.has('build')) ? null : 'start'
}

/** The script's name where a line does no more than to call it. */
function calledScript(line: string, { scripts }: Package): string | null {
  const name = /^(?:exec )?(?:npm|pnpm|yarn) (?:run )?([\w:.-]+)$/.exec(line)?.[1] ?? ''
  return scripts.has(name) ? name : null
}

/** Without a package manager in between, if it can be: it keeps memory and signals to itself, and may be fetched first. */
function ofScript(name: string, found: Package, manager: Manager): Start {
  const text = found.scripts.get(name) ?? ''
  const throughNpm = `npm run ${name}`
  const lines = linesOf(throughNpm, found)
  if (found.scripts.has(`pre${name}`) || found.scripts.has(`post${name}`))
    return { command: throughNpm.split(' '), lines }
  const file = /^node ([\w./-]+)$/.exec(text)?.[1]
  if (file !== undefined) return { command: ['node', file], lines }
  return { command: manager.name === 'npm' ? throughNpm.split(' ') : text, lines }
}

/** Frameworks whose build makes a program, and whose templates have no script that starts it. */
function ofFramework({ scripts, dependencies, development }: Package): readonly string[] | Problem | null {
  const uses = (name: string) => dependencies.has(name) || development.has(name)
  const build = scripts.get('build')
  if (build === undefined) return null
  if (uses('nuxt')) return /\bgenerate\b/.test(build) ? null : ['node', '.output/server/index.mjs']
  if (!uses('@sveltejs/kit') || uses('@sveltejs/adapter-static')) return null
  if (uses('@sveltejs/adapter-node')) return ['node', 'build']
  return {
    problem:
      'SvelteKit needs an adapter that makes a program or pages: use @sveltejs/adapter-node, or @sveltejs/adapter-static, in its configuration',
  }
}

function linesOf(line: string, { scripts }: Package): string[] {
  // What is added to a set while it is gone through is gone through as well.
  const lines = new Set([line])
  for (const text of lines) {
    for (const [, name = ''] of text.matchAll(/\b(?:npm|pnpm|yarn) (?:run )?([\w:.-]+)/g)) {
      for (const called of [`pre${name}`, name, `post${name}`]) lines.add(scripts.get(called) ?? line)
    }
  }
  return [...lines]
}

/** What is there without any package. */
const SYSTEM =
  /^(?:node|npm|pnpm|yarn|sh|bash|cd|cp|echo|env|exit|export|false|mkdir|printf|rm|set|sleep|test|true|.*\/.*)?$/
/** What stands before a program that it calls. */
const BEFORE = new RegExp(
  String.raw`^\s*(?:(?:exec|env|npx|cross-env|dotenv|--|${ASSIGNMENT})(?:\s+|$))*(?:(?:\./)?node_modules/\.bin/)?`,
)

/** Whether the start needs what only `devDependencies` have, as far as names tell: better one too many than none. */
export function needsDevelopment({ lines }: Start, { dependencies, development }: Package): boolean {
  if (development.size === 0) return false
  const provided = new Set([...dependencies].flatMap(programsOf))
  return lines.some((line) => {
    const names = line.match(/(?:@[\w.-]+\/)?[\w.-]+/g) ?? []
    const programs = line.split(/[;&|]+/).map((part) => /^\S*/.exec(part.replace(BEFORE, ''))?.[0] ?? '')
    return (
      names.some((name) => development.has(name)) ||
      programs.some((program) => !SYSTEM.test(program) && !provided.has(program))
    )
  })
}

/** What programs of a package may be called: `@nestjs/cli` has `nest`, other names tell. */
function programsOf(name: string): string[] {
  const [scope = '', inner] = name.replace(/^@/, '').split('/')
  return inner === undefined ? [name] : [name, inner, scope, `${scope}-${inner}`]
}
