import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { ensureBuild, ensureDependencies, ROOT } from './lib/dependencies.mjs'
import { runQuietly, say, script } from './lib/run.mjs'
import { agreed, aptInstall, hasProgram } from './lib/system-packages.mjs'

/** A package of its own, with its own lock: an `npm ci` of the server neither fetches nor removes it. */
const FOLDER = join(ROOT, 'nodegit')
const BUILD = join(FOLDER, 'node_modules/nodegit/build/Release')

/** What the build needs: how to see that it is there, and the package of Debian that has it. */
const NEEDS = [
  ['a C++ compiler', () => hasProgram('c++'), 'build-essential'],
  ['make', () => hasProgram('make'), 'build-essential'],
  ['python3', () => hasProgram('python3'), 'python3'],
  ['headers of OpenSSL', () => hasHeader('openssl/ssl.h'), 'libssl-dev'],
  ['krb5-config', () => hasProgram('krb5-config'), 'libkrb5-dev'],
]

const USAGE = `npm run setup:nodegit: installs and compiles nodegit, for GIT_BACKEND=nodegit
  --yes  installs what the build needs without asking`

await script({ usage: USAGE }, async () => {
  say('[1/4] What the build needs')
  await ensureNeeds()
  say('[2/4] Packages')
  await ensureDependencies('all', { needsGit: false })
  const npm = npmCommand()
  await runQuietly('npm ci', npm.file, [...npm.args, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: FOLDER,
  })
  say('[3/4] nodegit (compiles for about ten minutes)')
  // Without the flag, npm 11 skips the scripts of a package and says nothing.
  const flags = ['--foreground-scripts', '--dangerously-allow-all-scripts']
  await runQuietly('nodegit', npm.file, [...npm.args, 'rebuild', 'nodegit', ...flags], {
    cwd: FOLDER,
    env: buildEnvironment(),
  })
  removeIntermediate()
  say('[4/4] Check')
  await ensureBuild()
  const { checkNodegit } = await import('../dist/src/engine/git/nodegit/nodegit.js')
  say(`  ${await checkNodegit()} is ready: start Longshore with GIT_BACKEND=nodegit`)
})

async function ensureNeeds() {
  if (process.platform === 'win32')
    throw new Error('nodegit is not supported on Windows: use GIT_BACKEND=git')
  const missing = NEEDS.filter(([, isThere]) => !isThere())
  if (missing.length === 0) return
  const packages = [...new Set(missing.map(([, , name]) => name))]
  const what = missing.map(([name]) => name).join(', ')
  const byHand = `Missing: ${what}. Install it (Debian: apt-get install ${packages.join(' ')}) and try again.`
  if (process.getuid() !== 0 || !hasProgram('apt-get')) throw new Error(byHand)
  if (!(await agreed(`Install ${packages.join(', ')} from the system’s packages?`, byHand)))
    throw new Error(byHand)
  await aptInstall(packages)
  const still = NEEDS.filter(([, isThere]) => !isThere()).map(([name]) => name)
  if (still.length > 0) throw new Error(`Still missing after the installation: ${still.join(', ')}`)
}

function hasHeader(name) {
  const { status } = spawnSync('c++', ['-E', '-x', 'c++', '-'], { input: `#include <${name}>\n` })
  return status === 0
}

function npmCommand() {
  const npm = process.env.npm_execpath
  return npm ? { file: process.execPath, args: [npm] } : { file: 'npm', args: [] }
}

function buildEnvironment() {
  // Compiled here: otherwise nodegit's install script takes a binary from a server of its own, without a checksum.
  const env = { ...process.env, BUILD_ONLY: 'true', JOBS: process.env.JOBS ?? String(availableParallelism()) }
  // The headers that came with Node.js; where none did, node-gyp downloads them.
  const prefix = dirname(dirname(process.execPath))
  if (existsSync(join(prefix, 'include/node/node_version.h'))) env.npm_config_nodedir ??= prefix
  return env
}

/** What only the compiler needs: it takes more room than all the rest. */
function removeIntermediate() {
  for (const name of ['obj.target', 'obj', '.deps'])
    rmSync(join(BUILD, name), { recursive: true, force: true })
}
