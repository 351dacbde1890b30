import { ASSIGNMENT } from './detected-build.js'

/** Programs that serve pages under development when they are told to. */
const WHEN_TOLD = new Map<string, readonly string[]>([
  ...['react-scripts', 'react-app-rewired', 'craco', 'docusaurus', 'expo'].map(
    (name) => [name, ['start']] as const,
  ),
  ...['vue-cli-service', 'ng', 'ionic', 'webpack', 'webpack-cli', 'rspack'].map(
    (name) => [name, ['serve']] as const,
  ),
  ...['astro', 'vinxi', 'rsbuild', 'vitepress', 'vuepress', 'remix', 'react-router'].map(
    (name) => [name, ['dev']] as const,
  ),
  ['gatsby', ['develop', 'dev']],
  ['gridsome', ['develop']],
  ['nuxi', ['dev', 'preview']],
])
/** Programs that do so unless they are told something else. */
const UNLESS_TOLD = new Map<string, readonly string[]>([
  ['vite', ['build', 'optimize', 'preview']],
  ['parcel', ['build']],
  ['next', ['build', 'start', 'export', 'lint', 'info']],
  ['nuxt', ['build', 'start', 'generate']],
  ['webpack-dev-server', []],
])
const MANAGERS = ['npm', 'pnpm', 'yarn', 'bun']
/** Options by which a manager calls a script of another package than this one. */
const ELSEWHERE = /^(?:--prefix|--cwd|--dir|--filter|--workspace|-[CFw])\b/

const WORD = /(?:"[^"]*"|'[^']*'|[^\s"'])+/g
/** A word before the program's: what starts it, that program's options, and variables. */
const BEFORE = new RegExp(
  String.raw`^(?:exec|env|npx|bunx|cross-env|cross-env-shell|dotenv|env-cmd|-.*|\.env.*|${ASSIGNMENT})$`,
)

/**
 * Whether a line starts a server of pages under development, itself or by a script that it calls: no way to serve them
 * to others.
 */
export function isDevelopment(line: string, scripts: ReadonlyMap<string, string>): boolean {
  // What is added to a set while it is gone through is gone through as well.
  const lines = new Set([line])
  for (const one of lines) {
    let isHere = true
    for (const part of one.split(/[;&|]+/)) {
      const words = part.match(WORD) ?? []
      const first = words.findIndex((word) => !BEFORE.test(word))
      const called = first < 0 ? [] : words.slice(first)
      if (called[0] === 'cd') isHere = false
      const byManager = MANAGERS.includes(called[0] ?? '') ? called.slice(1) : null
      if (byManager && (!isHere || byManager.some((word) => ELSEWHERE.test(word)))) continue
      const named = byManager?.filter((word) => !/^(?:run|run-script|exec|dlx|-.*)$/.test(word)) ?? called
      const script = byManager ? scripts.get(named[0] ?? '') : undefined
      if (script !== undefined) lines.add(script)
      else if (serves(named)) return true
    }
  }
  return false
}

function serves(called: readonly string[]): boolean {
  // `node --some-option node_modules/…/bin/ng.js serve` is `ng serve`.
  const file = called[0] === 'node' ? called.findIndex((word) => /^[^-].*\bnode_modules\//.test(word)) : 0
  const [path = '', ...words] = called.slice(Math.max(file, 0))
  const program = path.slice(path.lastIndexOf('/') + 1).replace(/(?:\.[cm]?js|@[\w.-]+)$/, '')
  if (program === 'eleventy') return words.some((word) => /^--(?:serve|watch)$/.test(word))
  if (program === 'vite' && words.includes('preview')) return !words.some((word) => word.startsWith('--port'))
  const told = WHEN_TOLD.get(program)
  if (told) return told.some((word) => words.includes(word))
  return UNLESS_TOLD.get(program)?.every((word) => !words.includes(word)) ?? false
}
