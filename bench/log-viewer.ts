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
  const viewer = async () => {
    let lines = 0
    const events = await followLog(port, deploymentId, 0, (all) => {
      const at = monotonic()
      if (all.length === 1 && ++ready === count) process.send?.('ready')
      for (const written of writtenAt(all.at(-1)?.text ?? '')) {
        latencies.push(at - written)
        lines += 1
      }
      return false
    })
    return { lines, events: events.length }
  }
  const all = await Promise.all(Array.from({ length: count }, viewer))
  const seen: Seen = {
    lines: all.map(({ lines }) => lines),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    events: all[0]?.events ?? 0,
  }
  process.send?.(seen, () => process.disconnect())
}

const [port, deploymentId, count] = process.argv.slice(2)
await view(Number(port), deploymentId ?? '', Number(count))
