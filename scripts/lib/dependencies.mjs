import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isInstalled, markInstalled } from './installed-packages.mjs'
import { run, runQuietly } from './run.mjs'

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Node.js new enough, git there, packages as package-lock.json says: where they are, nothing is touched.
 *
 * @param need `production`, or `all` for what compiles and tests as well
 * @param options whether git has to be there
 * @throws Error that says what to do
 */
export async function ensureDependencies(need = 'all', { needsGit = true } = {}) {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(
      `Node.js ${process.versions.node} is too old: Longshore needs 20.19 or newer (https://nodejs.org)`,
    )
  }
  if (needsGit && spawnSync('git', ['--version']).status !== 0) {
    const without = 'or do without: npm run setup:nodegit, then GIT_BACKEND=nodegit'
    throw new Error(`git is missing: install it (Debian: apt-get install git) and try again, ${without}`)
  }
  await installPackages(ROOT, need)
}

/** Packages of `folder` as its package-lock.json says: where they are, nothing is touched. */
export async function installPackages(folder, need = 'all') {
  if (isInstalled(folder, need)) return
  const npm = process.env.npm_execpath
  const [file, args] = npm ? [process.execPath, [npm]] : ['npm', []]
  // Whatever the settings of npm leave out: with NODE_ENV=production the compiler.
  const everything = ['--include=dev', '--include=optional']
  await runQuietly('npm ci', file, [...args, 'ci', ...everything, '--no-audit', '--no-fund'], { cwd: folder })
  markInstalled(folder)
}

/** By its path, as in package.json: whatever else brings a `tsc`, this one compiles. */
const COMPILER = 'node_modules/native-typescript/bin/tsc'

/** What is compiled: the server alone for whoever runs it, tests and benchmarks too for whoever works on it. */
const BUILDS = {
  server: { project: 'tsconfig.build.json', sources: ['src', 'migrations'] },
  all: { project: 'tsconfig.json', sources: ['src', 'migrations', 'test', 'bench'] },
}

/** What runs the server: its packages and its build. One that is built needs nothing that compiles. */
export async function ensureServer() {
  const needsGit = process.env.GIT_BACKEND?.trim().toLowerCase() !== 'nodegit'
  await ensureDependencies(isBuilt('server') ? 'production' : 'all', { needsGit })
  await ensureBuild()
}

/** Compiles when a source is newer than the last build. */
export async function ensureBuild(name = 'server') {
  if (isBuilt(name)) return
  const project = join(ROOT, BUILDS[name].project)
  // Each of several checkers resolves most types anew: four take half as much processor time again as one.
  await run(process.execPath, [join(ROOT, COMPILER), '-p', project, '--checkers', '1'])
  writeFileSync(markerOf(name), '')
}

/** Whether no source is newer than the last build. One of all is one of the server, too. */
export function isBuilt(name) {
  const { project, sources } = BUILDS[name]
  const builds = name === 'all' ? [name] : [name, 'all']
  const builtAt = Math.max(
    ...builds.map((build) => statSync(markerOf(build), { throwIfNoEntry: false })?.mtimeMs ?? 0),
  )
  const newest = Math.max(
    ...[...sources, project, 'package-lock.json'].map((path) => newestChange(join(ROOT, path))),
  )
  return newest < builtAt
}

function markerOf(name) {
  return join(ROOT, `dist/.built-${name}`)
}

/** A folder counts too: a file that was removed changes it. */
function newestChange(path) {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found?.isDirectory()) return found?.mtimeMs ?? 0
  return Math.max(found.mtimeMs, ...readdirSync(path).map((name) => newestChange(join(path, name))))
}
