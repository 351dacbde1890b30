import { followLog } from '../test/support/client.js'
import { monotonic, writtenAt } from './log-source.js'
import { quantile } from './report.js'

/** What a process of viewers tells its parent when the log has ended. */
export interface Seen {
  /** Lines that each viewer got. */
  readonly lines: readonly number[]
  readonly p50: number
  readonly p99: number
  /** Events that one viewer got. */
  readonly events: number
}

/** Follows a log with `count` connections; says `ready` when each has had its first line. */
async function view(port: number, deploymentId: string, count: number): Promise<void> {
  const latencies: number[] = []
  let ready = 0
  const viewer = async (number: number) => {
    let lines = 0
    const events = await followLog(port, deploymentId, 0, (all) => {
      const at = monotonic()
      if (all.length === 1 && ++ready === count) process.send?.('ready')
      const text = all.at(-1)?.text ?? ''
      lines += countLines(text)
      // The times of an event are taken by one viewer, each in turn: more would measure what taking them costs.
      if (all.length % count === number) for (const written of writtenAt(text)) latencies.push(at - written)
      return false
    })
    return { lines, events: events.length }
  }
  const all = await Promise.all(Array.from({ length: count }, (_, number) => viewer(number)))
  const seen: Seen = {
    lines: all.map(({ lines }) => lines),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    events: all[0]?.events ?? 0,
  }
  process.send?.(seen, () => process.disconnect())
}

/** As {@link writtenAt} gives, without their times. */
function countLines(text: string): number {
  if (!text.startsWith('@')) return 0
  let lines = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1
  return lines
}

const [port, deploymentId, count] = process.argv.slice(2)
await view(Number(port), deploymentId ?? '', Number(count))
