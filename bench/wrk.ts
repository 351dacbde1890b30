import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const SECONDS = 5
export const CONNECTIONS = 32

export interface Load {
  readonly path: string
  /** A new connection for each request. */
  readonly fresh: boolean
}

export interface Measured {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Said by wrk at its end: requests, microseconds, quantiles of the latency in microseconds, errors of any kind. */
const REPORT = `done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nREPORT [%d, %d, %d, %d, %d]\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
`

/** Asks as fast as answers come, over 32 connections for 5 s, by a process of its own. @throws when one fails */
export function measure(port: number, host: string, { path, fresh }: Load, folder: string): Measured {
  const script = join(folder, 'report.lua')
  writeFileSync(script, REPORT)
  const headers = ['-H', `Host: ${host}`, ...(fresh ? ['-H', 'Connection: close'] : [])]
  const args = ['-t', '1', '-c', String(CONNECTIONS), '-d', `${SECONDS}s`, '-s', script, ...headers]
  const said = execFileSync('wrk', [...args, `http://127.0.0.1:${port}${path}`], { encoding: 'utf8' })
  const [, report] = /^REPORT (.*)$/m.exec(said) ?? []
  if (!report) throw new Error(`wrk did not report: ${said}`)
  const [requests = 0, us = 0, p50 = 0, p99 = 0, errors = 0] = JSON.parse(report) as number[]
  if (errors > 0) throw new Error(`${errors} of ${requests} requests to port ${port} failed`)
  return { perSecond: requests / (us / 1e6), p50Ms: p50 / 1000, p99Ms: p99 / 1000 }
}
