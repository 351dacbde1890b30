import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { OpenCore } from '../src/core.js'
import { DeploymentStatus, LogStream } from '../src/entities/deployment-status.js'
import { windowMsFor } from '../src/engine/logs/hub.js'
import { LogWriter } from '../src/engine/logs/writer.js'
import type { Broadcast, Timed } from './fanout-raw.js'
import type { Viewed } from './fanout-viewer.js'
import { end, insertDeployment, open, writerOptions } from './log.js'
import { monotonic } from './log-source.js'
import { Longshore } from './longshore.js'
import { processorMs, residentMib } from './processor.js'
import {
  atLeast,
  atMost,
  median,
  ms,
  printTable,
  quantile,
  ratios,
  ratioText,
  rounds,
  spread,
} from './report.js'

const VIEWERS = [100, 1_000, 5_000]
const VIEWER_PROCESSES = 2
const LINES_A_SECOND = 100
const SECONDS = 8
const LINE = `${'x'.repeat(74)}\n`
const GOAL = { efficiency: 0.8, p99: 250, mib: 100 }
const MANY = { MAX_CONNECTIONS: '20000', MAX_CONNECTIONS_PER_ADDRESS: '20000' }

interface Measured {
  readonly events: number
  /** Processor of the server for one event of one viewer. */
  readonly eventUs: number
  readonly p50: number
  readonly p99: number
  /** What the server's memory has grown by, at most, since before the viewers came. */
  readonly mib: number
}

interface Shown extends Measured {
  readonly messages: readonly Timed[]
}

/**
 * Many viewers of one log, against a bare `ws` server that sends the same messages at the same times. Longshore's API
 * has a process of its own, which reads what the writer, here, has stored; so the database's answer, the execution and
 * the serialisation are in its figures, and the writing is not.
 */
export async function run(count: number): Promise<void> {
  for (const viewers of VIEWERS) {
    const ours: Measured[] = []
    const raw: Measured[] = []
    for (const _round of rounds(count)) {
      const shown = await showLog(viewers)
      ours.push(shown)
      raw.push(await showRaw(viewers, shown.messages))
    }
    report(viewers, ours, raw)
  }
}

function report(viewers: number, ours: readonly Measured[], raw: readonly Measured[]): void {
  const us = (all: readonly Measured[]) => all.map(({ eventUs }) => eventUs)
  const row = (name: string, all: readonly Measured[]) => [
    name,
    ...[String(median(all.map(({ events }) => events))), spread(us(all), ms)],
    ...[
      spread(
        all.map(({ p50 }) => p50),
        ms,
      ),
      spread(
        all.map(({ p99 }) => p99),
        ms,
      ),
    ],
    spread(
      all.map(({ mib }) => mib),
      ms,
    ),
  ]
  const efficiency = ratios(us(raw), us(ours))
  const goals = [
    `${spread(efficiency, ratioText)} ${atLeast(GOAL.efficiency, median(efficiency))}`,
    ...(viewers === 1_000
      ? [
          atMost(GOAL.p99, median(ours.map(({ p99 }) => p99))),
          atMost(GOAL.mib, median(ours.map(({ mib }) => mib))),
        ]
      : ['', '']),
  ]
  const title = `${viewers} viewers, ${LINES_A_SECOND} lines a second for ${SECONDS} s, ${ours.length} rounds: median (least–most)`
  const header = ['', 'events', 'processor, µs/event', 'p50, ms', 'p99, ms', 'memory, + MiB']
  const goalHeader = ['efficiency', 'p99', 'memory']
  printTable(title, [...header, ...goalHeader], [[...row('Longshore', ours), ...goals], row('raw ws', raw)])
}

async function showLog(viewers: number): Promise<Shown> {
  await using longshore = await Longshore.create()
  const { child } = await longshore.start({ ROLES: 'api', ...MANY })
  await using core = await open(longshore)
  const id = await insertDeployment(longshore)
  const stored: number[] = []
  const log = writerOf(core, id, viewers, stored)
  log.system('ready')
  const server = new Watched(child.pid)
  const viewing = await openViewers(longshore.port, viewers, id)
  server.begin()
  await pour(log)
  await end(core, log, id)
  const viewed = await viewing.ended
  const measured = server.end(viewed, viewers, stored)
  log.close()
  const messages = viewed[0]?.messages ?? []
  const from = stored[1] ?? 0
  // The first was there before, and is not sent again.
  return {
    ...measured,
    messages: messages
      .slice(1)
      .map((message, index) => ({ message, afterMs: (stored[index + 1] ?? monotonic()) - from })),
  }
}

async function showRaw(viewers: number, messages: readonly Timed[]): Promise<Measured> {
  const raw = fork(fileURLToPath(new URL('fanout-raw.js', import.meta.url)), { execArgv: [] })
  try {
    const [{ port }] = (await once(raw, 'message')) as [{ port: number }]
    const server = new Watched(raw.pid)
    const viewing = await openViewers(port, viewers, null)
    server.begin()
    const told = once(raw, 'message') as Promise<[Broadcast]>
    raw.send(messages)
    const viewed = await viewing.ended
    const [{ at }] = await told
    return server.end(viewed, viewers, [Number.NaN, ...at])
  } finally {
    raw.kill()
  }
}

/** Lines gather as long as they do where the writer and so many viewers share a process. */
function writerOf({ database, hub }: OpenCore, id: string, viewers: number, stored: number[]): LogWriter {
  const announcer = {
    windowMs: () => windowMsFor(viewers),
    announce: (of: string, chunks: Parameters<typeof hub.announce>[1]) => {
      for (const { seq } of chunks) stored[seq - 1] = monotonic()
      hub.announce(of, chunks)
    },
  }
  const log = new LogWriter(database, announcer, writerOptions(id))
  log.phase = DeploymentStatus.BUILDING
  return log
}

async function pour(log: LogWriter): Promise<void> {
  const output = log.output(LogStream.STDOUT)
  const startedAt = performance.now()
  for (let line = 0; line < LINES_A_SECOND * SECONDS; line++) {
    const waitMs = startedAt + (line * 1000) / LINES_A_SECOND - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    await output.write(Buffer.from(LINE))
  }
  output.end()
  await log.flush()
}

async function openViewers(
  port: number,
  viewers: number,
  id: string | null,
): Promise<{ ended: Promise<Viewed[]> }> {
  const script = fileURLToPath(new URL('fanout-viewer.js', import.meta.url))
  const each = String(viewers / VIEWER_PROCESSES)
  const args = [String(port), each, ...(id === null ? [] : [id])]
  const children = Array.from({ length: VIEWER_PROCESSES }, () => fork(script, args, { execArgv: [] }))
  await Promise.all(children.map((child) => messageOf<'ready'>(child)))
  return { ended: Promise.all(children.map((child) => messageOf<Viewed>(child))) }
}

async function messageOf<T>(child: ChildProcess): Promise<T> {
  const gone = once(child, 'exit').then(([code]: unknown[]) => {
    throw new Error(`a process of viewers ended with ${String(code)}`)
  })
  const [message] = (await Promise.race([once(child, 'message'), gone])) as [T]
  gone.catch(() => undefined)
  return message
}

/** A server's processor and memory. */
class Watched {
  readonly #before: number
  #highest = 0
  #startMs = 0
  #watch: NodeJS.Timeout | undefined

  constructor(private readonly pid: number | undefined) {
    this.#before = residentMib(this.pid)
  }

  /** Its viewers are there. */
  begin(): void {
    this.#startMs = processorMs(this.pid)
    this.#watch = setInterval(() => (this.#highest = Math.max(this.#highest, residentMib(this.pid))), 100)
  }

  /** `stored`: when what each event shows was there; the first event came before. */
  end(viewed: readonly Viewed[], viewers: number, stored: readonly number[]): Measured {
    const usedMs = processorMs(this.pid) - this.#startMs
    clearInterval(this.#watch)
    const events = viewed.reduce((sum, one) => sum + one.events, 0) / viewers - 1
    if (!Number.isInteger(events)) throw new Error(`not all viewers got the same: ${events} events each`)
    const times = viewed.flatMap(({ seen }) => seen)
    // The log's end is stored with its deployment's, and not timed.
    const latencies = times.flatMap(([event, at]) => (event > 0 && stored[event] ? [at - stored[event]] : []))
    return {
      events,
      eventUs: (usedMs * 1000) / (events * viewers),
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      mib: Math.max(this.#highest, residentMib(this.pid)) - this.#before,
    }
  }
}
