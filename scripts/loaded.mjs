import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './lib/dependencies.mjs'
import { run, say, script } from './lib/run.mjs'
import { TEST_OPTIONS } from './lib/test-files.mjs'
import { readSummary } from './lib/test-reporter.mjs'

const LOOPS = Number(process.env.LOOPS ?? 3)
const TIMES = Number(process.env.TIMES ?? 3)

/**
 * `npm run test:loaded`: the tests, or those whose path contains an argument, three times in a row on a machine that three
 * endless loops keep busy. LOOPS and TIMES set other numbers.
 */
const USAGE =
  'npm run test:loaded -- [PART...] [--all | --rest]: as npm test, three times beside three endless loops'

await script({ usage: USAGE, options: TEST_OPTIONS, takesNames: true }, async () => {
  const loops = Array.from({ length: LOOPS }, () => spawn(process.execPath, ['--eval', 'for (;;);']))
  const counts = []
  try {
    for (let number = 1; number <= TIMES; number++) {
      const startedAt = Date.now()
      const args = [join(ROOT, 'scripts/test.mjs'), ...process.argv.slice(2)]
      const failed = await run(process.execPath, args, { cwd: ROOT }).then(
        () => false,
        () => true,
      )
      const summary = readSummary() ?? 'not done'
      counts.push({
        failed,
        text: `run ${number}: ${summary}, ${Math.round((Date.now() - startedAt) / 1000)} s`,
      })
    }
  } finally {
    for (const loop of loops) loop.kill('SIGKILL')
  }
  say(`Beside ${LOOPS} endless loops:\n${counts.map(({ text }) => `  ${text}`).join('\n')}`)
  if (counts.some(({ failed }) => failed)) throw new Error('tests failed on a busy machine')
})
