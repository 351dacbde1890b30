import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { ROOT } from './dependencies.mjs'

/** One line that a machine can read: `12 passed, 0 failed, 0 skipped`. */
const SUMMARY_FILE = join(ROOT, 'dist/test-summary.txt')
const SHOWN = 10

/** A reporter of node:test beside `spec`: says which files took longest, and writes {@link readSummary}. */
export default async function* reporter(events) {
  const times = new Map()
  const counts = new Map()
  for await (const { type, data } of events) {
    if (data.nesting !== 0) continue
    if (type === 'test:diagnostic') count(data.message, counts)
    else if ((type === 'test:pass' || type === 'test:fail') && data.file)
      times.set(data.file, (times.get(data.file) ?? 0) + data.details.duration_ms)
  }
  const slowest = [...times].sort(([, one], [, other]) => other - one).slice(0, SHOWN)
  yield 'Slowest files:\n'
  for (const [file, ms] of slowest)
    yield `  ${(ms / 1000).toFixed(1).padStart(6)} s  ${relative(ROOT, file)}\n`
  writeFileSync(SUMMARY_FILE, `${summary((name) => counts.get(name) ?? 0)}\n`)
}

/** Before a run, so that one that is killed does not show the counts of an earlier one. */
export function removeSummary() {
  rmSync(SUMMARY_FILE, { force: true })
}

/** `root`: of another checkout. Null: no run has come to its end. */
export function readSummary(root = ROOT) {
  try {
    return readFileSync(join(root, relative(ROOT, SUMMARY_FILE)), 'utf8').trim()
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
}

/** At its end the runner says `pass 12`, `fail 0`, … */
function count(message, counts) {
  const [, name, number] = /^(pass|fail|cancelled|skipped) (\d+)$/.exec(message) ?? []
  if (name) counts.set(name, Number(number))
}

function summary(of) {
  return `${of('pass')} passed, ${of('fail') + of('cancelled')} failed, ${of('skipped')} skipped`
}
