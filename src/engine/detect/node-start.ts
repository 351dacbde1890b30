import { isDevelopment } from './node-development.js'
import type { Manager } from './node-managers.js'
import { ofFramework } from './node-frameworks.js'
import { isExport } from './node-pages.js'
import { type Package, uses } from './package-json.js'
import { ASSIGNMENT, present, type Problem, procfileCommand, type Tree } from './detected-build.js'

/** What the container runs. */
export interface Start {
  readonly command: readonly string[] | string
  /** It, and the scripts that it calls. */
  readonly lines: readonly string[]
}

/** Null: there is nothing that runs; what a build makes are pages. */
export function startOf(tree: Tree, found: Package, manager: Manager): Start | Problem | null {
  const asked = procfileCommand(tree)
  const line = asked !== null && isForPages(asked, tree, found) ? null : asked
  const script = line === null ? startScript(tree, found) : calledScript(line, found)
  if (script !== null) return ofScript(script, found, manager)
  const made = line === null ? ofFramework(tree, found) : null
  if (made !== null && typeof made === 'object' && 'problem' in made) return made
  // What was asked for shows pages: a file beside it, such as src/index.js, is a part of them.
  const file = asked !== null || found.scripts.has('start') ? undefined : programFile(tree, found)
  const command = line ?? made ?? (file === undefined ? null : ['node', file])
  if (command === null) return null
  return { command, lines: calledLines(typeof command === 'string' ? command : command.join(' '), found) }
}

/** Whether it is Node.js that is started, by the Procfile, a script or a file that is there. */
export function declaresStart(tree: Tree, found: Package): boolean {
  const line = procfileCommand(tree) ?? ''
  if (/\b(?:python3?|gunicorn|uvicorn|hypercorn|daphne|granian|waitress)\b/.test(line)) return false
  if (/\b(?:node|npm|npx|pnpm|yarn|bun|bunx) /.test(line)) return true
  const isFile = !found.scripts.has('start') && tree.paths.has(found.main ?? '')
  return isFile || startScript(tree, found) !== null
}

function programFile(tree: Tree, found: Package): string | undefined {
  const { main } = found
  const named = main !== null && /\.[cm]?js$/.test(main) ? [main] : []
  return present(tree, [...named, 'server.js', 'index.js', 'app.js'])[0] ?? builtFile(found)
}

/** A file that `main` names and that only the build makes: a compiler's, no bundler's of pages. */
function builtFile({ main, scripts }: Package): string | undefined {
  const isCompiled = /\b(?:tsc|tsup|tsdown|swc|esbuild|nest build|rollup|ncc)\b(?!.*--noEmit)/.test(
    scripts.get('build') ?? '',
  )
  return isCompiled && /^(?:dist|build|lib|out)\/[\w./-]+\.[cm]?js$/.test(main ?? '')
    ? (main ?? undefined)
    : undefined
}

/** Whether the build only looks: it makes neither pages nor a program. */
export function isCheckOnly(line: string): boolean {
  return line
    .split(/&&|;/)
    .every((part) =>
      /^\s*(?:(?:vue-)?tsc\b.*--noEmit\b|eslint\b|biome\b|oxlint\b|prettier\b|echo\b)/.test(part),
    )
}

/** Whether a line only shows what the build makes as pages, which are served without it. */
function isForPages(line: string, tree: Tree, found: Package): boolean {
  if (!found.scripts.has('build')) return false
  if (isDevelopment(line, found.scripts)) return true
  return isExport(tree, found) && calledLines(line, found).some((one) => /\bnext start\b/.test(one))
}

/** `start` of NestJS compiles what it starts; `start:prod` is for here. */
function startScript(tree: Tree, found: Package): string | null {
  const isUsable = (name: string) => {
    const text = found.scripts.get(name)
    return text !== undefined && !isForPages(text, tree, found)
  }
  return ['start:prod', 'start'].find(isUsable) ?? null
}

/** The script's name where a line does no more than to call it. */
function calledScript(line: string, { scripts }: Package): string | null {
  const name = /^(?:exec )?(?:npm|pnpm|yarn|bun) (?:run )?([\w:.-]+)$/.exec(line)?.[1] ?? ''
  return scripts.has(name) ? name : null
}

/** Without a package manager in between, if it can be: it keeps memory and signals to itself, and may be fetched first. */
function ofScript(name: string, found: Package, manager: Manager): Start {
  const text = found.scripts.get(name) ?? ''
  const throughNpm = `npm run ${name}`
  const lines = calledLines(throughNpm, found)
  if (found.scripts.has(`pre${name}`) || found.scripts.has(`post${name}`))
    return { command: throughNpm.split(' '), lines }
  const file = /^node ([\w./-]+)$/.exec(text)?.[1]
  if (file !== undefined) return { command: ['node', file], lines }
  return { command: manager.name === 'npm' ? throughNpm.split(' ') : text, lines }
}

/** A line, and the lines of all scripts that it calls. */
export function calledLines(line: string, { scripts }: Package): string[] {
  // What is added to a set while it is gone through is gone through as well.
  const lines = new Set([line])
  for (const text of lines) {
    for (const [, name = ''] of text.matchAll(/\b(?:npm|pnpm|yarn|bun) (?:run )?([\w:.-]+)/g)) {
      for (const called of [`pre${name}`, name, `post${name}`]) lines.add(scripts.get(called) ?? line)
    }
  }
  return [...lines]
}

/** What is there without any package. */
const SYSTEM =
  /^(?:node|npm|pnpm|yarn|bun|sh|bash|cd|cp|echo|env|exit|export|false|mkdir|printf|rm|set|sleep|test|true|.*\/.*)?$/
/** What stands before a program that it calls. */
const BEFORE = new RegExp(
  String.raw`^\s*(?:(?:exec|env|npx|bunx|cross-env|dotenv|--|${ASSIGNMENT})(?:\s+|$))*(?:(?:\./)?node_modules/\.bin/)?`,
)

/** Whether the start needs what only `devDependencies` have, as far as names tell: better one too many than none. */
export function needsDevelopment(tree: Tree, { lines }: Start, found: Package): boolean {
  const { dependencies, development } = found
  if (development.size === 0) return false
  // `next start` reads its configuration, with TypeScript where that is its language.
  if (uses(found, 'next') && present(tree, ['next.config.ts', 'next.config.mts']).length > 0) return true
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
