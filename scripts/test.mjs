import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './lib/dependencies.mjs'
import { say, script } from './lib/run.mjs'
import { TEST_OPTIONS, testFiles } from './lib/test-files.mjs'
import { readSummary, removeSummary } from './lib/test-reporter.mjs'
import { withTestSetup } from './lib/test-setup.mjs'

/** Most of what the tests do is to wait. */
const FILES_AT_ONCE = 4
/** What hangs ends after this long. The files of a process count as one, and take four minutes beside eight busy loops. */
const FILE_MS = 1_800_000
/** So many processes the files of a folder share. Those of faults and the model have one each. */
const GROUPS = { unit: 1, integration: 3, e2e: 12 }
const LONG = [
  'faults-kill',
  'faults-database',
  'model',
  'faults-announce',
  'unit',
  'faults-automatic-rollback',
  'faults-workers',
  'integration',
  'e2e',
]
/** What the runner is given: a module for each process. */
const RUN = join(ROOT, 'dist/run')

const USAGE = `npm test -- [PART...]: the test files whose path contains one of the parts; without any, all but the long ones
  --all       the long ones too
  --rest      the long ones, and those that match a part
  --compiled  dist/ has been compiled from these sources already
  --yes       installs a Docker engine without asking`

/** Sets up, then runs the tests that its arguments choose. */
await script({ usage: USAGE, options: TEST_OPTIONS, takesNames: true }, async (options, parts) => {
  const files = testFiles(parts, options)
  removeSummary()
  const isCompiled = options.compiled ?? false
  process.exitCode = await withTestSetup((env) => runTests(files, env), { files, isCompiled })
})

async function runTests(files, env) {
  // A person reads lines of TypeScript. To read the maps takes each process a sixth of its start.
  const maps = env.CI === 'true' ? [] : ['--enable-source-maps']
  const reporters = ['spec', join(ROOT, 'scripts/lib/test-reporter.mjs')].flatMap((name) => [
    `--test-reporter=${name}`,
    '--test-reporter-destination=stdout',
  ])
  const bounds = [`--test-concurrency=${FILES_AT_ONCE}`, `--test-timeout=${FILE_MS}`]
  const args = [...maps, '--test', ...bounds, ...reporters, ...gather(files)]
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal))
  const [code] = await once(child, 'exit')
  const summary = readSummary()
  say(summary ?? 'The tests were ended before they were done.')
  return summary === null ? 1 : (code ?? 1)
}

/** To start a process for each file takes longer than many of the files. Those of a group run one after another. */
function gather(files) {
  const groups = new Map()
  for (const [index, file] of files.entries()) {
    const name = groupOf(file, index)
    groups.set(name, [...(groups.get(name) ?? []), join(ROOT, 'dist/test', file)])
  }
  rmSync(RUN, { recursive: true, force: true })
  mkdirSync(RUN)
  const names = [...groups.keys()].sort((one, other) => rank(one) - rank(other))
  return names.map((name, index) => together(`${String(index).padStart(2, '0')}-${name}`, groups.get(name)))
}

function groupOf(file, index) {
  const folder = file.split('/')[0]
  if (!Object.hasOwn(GROUPS, folder)) return file.replace('.test.js', '').replace('/', '-')
  return `${folder}-${(index % GROUPS[folder]) + 1}`
}

/** The runner takes them by name. What takes long begins first, so that nothing long is left at the end. */
function rank(name) {
  const place = LONG.findIndex((long) => name.startsWith(long))
  return place < 0 ? LONG.length : place
}

function together(name, paths) {
  const file = join(RUN, `${name}.mjs`)
  writeFileSync(file, paths.map((path) => `import ${JSON.stringify(path)}\n`).join(''))
  return file
}
