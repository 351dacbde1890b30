import { relative } from 'node:path'
import { ROOT } from './dependencies.mjs'

const SHOWN = 10

/** A reporter of node:test: the files that took longest, in seconds from the begin of their tests to the end. */
export default async function* slowestFiles(events) {
  const times = new Map()
  for await (const { type, data } of events) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.nesting > 0 || !data.file) continue
    times.set(data.file, (times.get(data.file) ?? 0) + data.details.duration_ms)
  }
  const slowest = [...times].sort(([, one], [, other]) => other - one).slice(0, SHOWN)
  yield `Slowest files:\n`
  for (const [file, ms] of slowest)
    yield `  ${(ms / 1000).toFixed(1).padStart(6)} s  ${relative(ROOT, file)}\n`
}
