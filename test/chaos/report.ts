import type { Judgement } from './judge-answers.js'
import type { Processes } from './processes.js'

const MOST_DETAILS = 20

export interface Result {
  readonly seed: number
  readonly minutes: number
  readonly operations: ReadonlyMap<string, number>
  readonly ends: ReadonlyMap<string, number>
  readonly requests: Judgement
  readonly processes: Processes
  readonly views: { readonly logs: number; readonly reconnects: number }
  readonly broken: ReadonlySet<string>
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function sayResult(result: Result): void {
  const { seed, minutes, operations, ends, requests, processes, views, broken } = result
  const windows = processes.windows.map(({ from, until, why }) => `${why} ${seconds(until - from)}`)
  const awayMs = processes.windows.reduce((sum, { from, until }) => sum + until - from, 0)
  say(`\nSEED=${seed} MINUTES=${minutes}`)
  say(`operations         ${total(operations)}: ${listed(operations)}`)
  say(`kills              ${processes.kills}, and ${processes.stalls} processes stopped for a while`)
  say(`deployments        ${total(ends)}: ${listed(ends)}`)
  say(`logs viewed        ${views.logs}, viewers came back ${views.reconnects} times`)
  say(`requests           ${requests.sent}: ${requests.failed} failed, ${requests.wrong} of a wrong version`)
  say(`  without a router ${requests.excused} failed in ${windows.length} windows, ${seconds(awayMs)} in all`)
  say(`                   ${windows.join(', ')}`)
  say(`memory             ${processes.mostMemoryMib.toFixed(0)} MiB at most in one process`)
  say(`broken promises    ${broken.size}`)
  for (const promise of [...broken].slice(0, MOST_DETAILS)) say(`  - ${promise}`)
  if (broken.size > MOST_DETAILS) say(`  and ${broken.size - MOST_DETAILS} more`)
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}

export function listed(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([, one], [, other]) => other - one)
  return sorted.map(([name, count]) => `${count} ${name}`).join(', ')
}
