import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureBuild, ensureDependencies, isBuilt, ROOT } from './lib/dependencies.mjs'
import { ensureDockerEngine } from './lib/docker-engine.mjs'
import { run, say, script } from './lib/run.mjs'
import { TEST_OPTIONS, testFiles } from './lib/test-files.mjs'
import { readSummary } from './lib/test-reporter.mjs'
import { ensurePrograms } from './lib/test-setup.mjs'

const USER = 'longshore-test'
/** What the compiler writes to dist, and that it has: last. */
const COMPILED = ['src', 'migrations', 'test', 'bench', '.tsbuildinfo', '.built-all']

/**
 * `npm run test:as-user`, by root: the tests that its arguments choose, as of `npm test`, as a fresh user who is in the
 * group of the engine's socket, in a clone of the last commit. The user and the clone go afterwards.
 */
const USAGE =
  'npm run test:as-user -- [PART...] [--all | --rest]: as npm test, by root as a fresh user of the engine'

await script({ usage: USAGE, options: TEST_OPTIONS, takesNames: true }, async (options, parts) => {
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    throw new Error('npm run test:as-user makes a user: run it on Linux as root. As another user: npm test')
  }
  await ensureDependencies()
  await ensureBuild()
  await ensureDockerEngine()
  // A user cannot install a browser or a server.
  await ensurePrograms(testFiles(parts, options))
  const socket = process.env.DOCKER_HOST.replace(/^unix:\/\//, '')
  const folder = mkdtempSync(join(tmpdir(), 'longshore-user-'))
  try {
    const user = makeUser(folder, socket)
    const clone = join(folder, 'longshore')
    program('git', 'clone', '--quiet', ROOT, clone)
    for (const packages of ['node_modules', 'examples/frontend/node_modules']) {
      if (!existsSync(join(ROOT, packages))) continue
      cpSync(join(ROOT, packages), join(clone, packages), { recursive: true, verbatimSymlinks: true })
    }
    const isCompiled = copyBuild(clone)
    program('chown', '-R', `${user.uid}:${user.gid}`, folder)
    const env = { PATH: process.env.PATH, CI: process.env.CI, HOME: join(folder, 'home'), USER }
    say(`Tests as ${USER} (uid ${user.uid}, group ${user.gid} of ${socket})`)
    const args = [join(clone, 'scripts/test.mjs'), ...process.argv.slice(2)]
    if (isCompiled) args.push('--compiled')
    await run(process.execPath, args, { cwd: clone, env, ...user }).finally(() => keepSummary(clone))
  } finally {
    spawnSync('userdel', ['--force', USER])
    rmSync(folder, { recursive: true, force: true })
  }
})

/** Where all is compiled and the sources are those of the commit: to compile them again would give the same. */
function copyBuild(clone) {
  if (!isBuilt('all') || program('git', '-C', ROOT, 'status', '--porcelain') !== '') return false
  for (const name of COMPILED)
    cpSync(join(ROOT, 'dist', name), join(clone, 'dist', name), { recursive: true })
  return true
}

/** In the group of the socket alone: Node.js gives a child no other groups. */
function makeUser(folder, socket) {
  const { gid } = statSync(socket)
  const home = join(folder, 'home')
  mkdirSync(home)
  spawnSync('userdel', ['--force', USER]) // of a run that was killed
  program('useradd', '--no-create-home', '--home-dir', home, '--gid', String(gid), USER)
  const uid = Number(program('id', '--user', USER))
  return { uid, gid }
}

function keepSummary(clone) {
  const kept = join(ROOT, 'dist/test-summary-user.txt')
  rmSync(kept, { force: true })
  const summary = readSummary(clone)
  if (summary === null) return // it did not come to its end, and has said why
  mkdirSync(join(ROOT, 'dist'), { recursive: true })
  writeFileSync(kept, `${summary}\n`)
}

/** @throws Error with what it said */
function program(file, ...args) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${[file, ...args].join(' ')} failed: ${error?.message ?? stderr}`)
  return stdout.trim()
}
