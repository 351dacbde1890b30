import { readFileSync } from 'node:fs'
import { DeploymentStatus, LogStream } from '../src/entities/deployment-status.js'
import { LogWriter } from '../src/engine/logs/writer.js'
import { createApp, followLog, type LogEvent } from '../test/support/client.js'
import { FakeDocker } from '../test/support/fake-docker/fake-docker.js'
import { TestRepository, webApp } from '../test/support/repository.js'
import { unique } from './apps.js'
import { insertDeployment, open, writerOptions } from './log.js'
import { Longshore } from './longshore.js'
import { atLeast, atMost, median, printTable, rounds } from './report.js'

const LINE = 'x'.repeat(74)
const OUTPUTS = [
  { name: '1 GB in lines of 75 bytes', bytes: 1_000_000_000, script: `yes ${LINE} | head -c 1000000000` },
  {
    name: 'one line of 131 MB',
    bytes: 131_000_000,
    script: String.raw`yes ${LINE} | tr -d '\n' | head -c 131000000`,
  },
]
const LAST_LINE = 'this is its last line'
const GOAL = { mib: 250, storedMib: 10, linesPerSecond: 100_000 }
const BURST_LINES = 100_000
/** As a pipe gives it. */
const PIECE_LINES = 800
const MIB = 1024 * 1024

/** Builds that print more than a log keeps, on a fake Docker engine; and how fast lines are stored that it does keep. */
export async function run(count: number): Promise<void> {
  const rows: string[][] = []
  for (const _round of rounds(count)) for (const output of OUTPUTS) rows.push(await build(output))
  const header = [
    'build prints',
    'seconds',
    'MB/s',
    'highest RSS, MiB',
    'stored, MiB',
    'result',
    'RSS',
    'stored',
  ]
  printTable('A build’s output, both roles in one process', header, rows)
  await burst(count)
}

async function build({ name, bytes, script }: (typeof OUTPUTS)[number]): Promise<string[]> {
  await using docker = await FakeDocker.start()
  await using longshore = await Longshore.create()
  using repository = new TestRepository(webApp(unique(), [`${script}; echo ''; echo ${LAST_LINE}`]))
  const { child } = await longshore.start({ DOCKER_HOST: docker.host, ROUTER: 'off' })
  const startedAt = performance.now()
  const { deploymentId } = await createApp(longshore.port, { name: unique(), repoUrl: repository.url })
  const events = await followLog(longshore.port, deploymentId)
  const seconds = (performance.now() - startedAt) / 1000
  const mib = highestMib(child.pid)
  const [row] = await longshore.rows<{ bytes: number }>(
    'SELECT sum(octet_length(text))::int AS bytes FROM log_chunk WHERE deployment_id = $1',
    [deploymentId],
  )
  const storedMib = (row?.bytes ?? 0) / MIB
  return [
    name,
    seconds.toFixed(1),
    (bytes / 1e6 / seconds).toFixed(0),
    mib.toFixed(0),
    storedMib.toFixed(3),
    resultOf(events),
    atMost(GOAL.mib, mib),
    atMost(GOAL.storedMib, storedMib),
  ]
}

/** The status, or what is wrong with the log. */
function resultOf(events: readonly LogEvent[]): string {
  const text = events.map((event) => event.text).join('')
  const end = events.at(-1)?.end
  const counted = /--- (\d+) bytes \/ \d+ lines omitted ---/.exec(text)?.[1] ?? '0'
  if (!text.includes(`\n${LAST_LINE}\n`)) return 'without its tail'
  if (Number(counted) !== end?.omittedBytes) return `${counted} bytes said, ${end?.omittedBytes} counted`
  return end.status
}

/** What the process has had at most. */
function highestMib(pid: number | undefined): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/** Lines that a log keeps as they come, from the first one to the database's answer for the last one. */
async function burst(count: number): Promise<void> {
  await using longshore = await Longshore.create()
  await using core = await open(longshore)
  const rates: number[] = []
  for (const _round of rounds(count)) {
    const id = await insertDeployment(longshore)
    const log = new LogWriter(core.database, core.hub, writerOptions(id))
    log.phase = DeploymentStatus.BUILDING
    const output = log.output(LogStream.STDOUT)
    const piece = Buffer.from(`${LINE}\n`.repeat(PIECE_LINES))
    const startedAt = performance.now()
    for (let line = 0; line < BURST_LINES; line += PIECE_LINES) await output.write(piece)
    output.end()
    await log.flush()
    rates.push(BURST_LINES / ((performance.now() - startedAt) / 1000))
    log.close()
  }
  const rate = median(rates)
  const row = ['', rate.toFixed(0), String(rates.length), atLeast(GOAL.linesPerSecond, rate)]
  printTable(`${BURST_LINES} lines of 75 bytes at once, stored`, ['', 'lines/s', 'rounds', 'goal'], [row])
}
