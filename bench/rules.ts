import { fuzzRules } from '../test/support/rules.js'
import { say } from './report.js'

const RUNS = 1_000_000

/** The property of test/unit/traefik-rules.test.ts, a million times: it ends at the first rule that was broken into. */
export function run(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now()
    const { files, labels, refused } = fuzzRules(RUNS)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
    say(`${RUNS} sets of names in ${seconds} s: ${files} files, ${labels} sets of labels, ${refused} refused`)
  }
  return Promise.resolve()
}
