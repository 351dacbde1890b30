import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './lib/dependencies.mjs'
import { say, script } from './lib/run.mjs'
import { withTestSetup } from './lib/test-setup.mjs'

/** Most of what the tests do is to wait. */
const FILES_AT_ONCE = 3
/** One file may take this long; the whole run has the budget of .ci/run. */
const FILE_MS = 480_000
/** Integration tests share so many processes. */
const GROUPS = 3

/** Sets up, then runs all tests, or those whose path contains an argument: `npm test -- queue`. */
await script(async () => {
  process.exitCode = await withTestSetup(runTests)
})

async function runTests(env) {
  const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
  const files = readdirSync(join(ROOT, 'dist/test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.js'))
    .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
    .sort()
  if (files.length === 0) throw new Error(`no test file matches ${wanted.join(', ')}`)
  const tap = join(ROOT, 'dist/test.tap')
  // A person reads lines of TypeScript. To read the maps takes each process a sixth of its start.
  const maps = env.CI === 'true' ? [] : ['--enable-source-maps']
  const reporters = ['--test-reporter=spec', '--test-reporter-destination=stdout']
  reporters.push('--test-reporter=tap', `--test-reporter-destination=${tap}`)
  const bounds = [`--test-concurrency=${FILES_AT_ONCE}`, `--test-timeout=${FILE_MS}`]
  const args = [...maps, '--test', ...bounds, ...reporters, ...gather(files)]
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal))
  const [code] = await once(child, 'exit')
  writeSummary(readFileSync(tap, 'utf8'))
  return code ?? 1
}

/**
 * Unit tests share one process, integration tests a few: to start one for each file takes longer than most of the files.
 * Those of a group run one after another.
 */
function gather(files) {
  const groups = new Map()
  const alone = []
  for (const [index, file] of files.entries()) {
    const name = groupOf(file, index)
    if (name === null) alone.push(join(ROOT, 'dist/test', file))
    else groups.set(name, [...(groups.get(name) ?? []), join(ROOT, 'dist/test', file)])
  }
  return [...alone, ...[...groups].map(([name, paths]) => together(name, paths))]
}

function groupOf(file, index) {
  if (file.startsWith('unit/')) return 'unit'
  return file.startsWith('integration/') ? `integration-${(index % GROUPS) + 1}` : null
}

function together(name, paths) {
  const file = join(ROOT, `dist/${name}-tests.mjs`)
  writeFileSync(file, paths.map((path) => `import ${JSON.stringify(path)}\n`).join(''))
  return file
}

/** One line that a machine can read: `12 passed, 0 failed, 0 skipped`. */
function writeSummary(tap) {
  const count = (name) => Number(new RegExp(`^# ${name} (\\d+)`, 'm').exec(tap)?.[1] ?? 0)
  const failed = count('fail') + count('cancelled')
  const line = `${count('pass')} passed, ${failed} failed, ${count('skipped')} skipped`
  writeFileSync(join(ROOT, 'dist/test-summary.txt'), `${line}\n`)
  say(line)
}
