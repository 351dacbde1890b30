import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startApi } from '../src/api.js'
import { readConfig } from '../src/config.js'
import { type OpenCore, openCore } from '../src/core.js'
import { DeploymentStatus, LogStream } from '../src/entities/deployment-status.js'
import { type LogAnnouncer, LogWriter } from '../src/engine/logs/writer.js'
import { settle } from '../src/engine/queue/states.js'
import { createLogger } from '../src/logger.js'
import { TOKEN } from '../test/support/server.js'
import { unique } from './apps.js'
import { monotonic, writtenAt } from './log-source.js'
import type { Seen } from './log-viewer.js'
import { Longshore } from './longshore.js'
import { atMost, ms, printTable, quantile, rounds } from './report.js'

const RATES = [200, 2_000, 20_000]
const VIEWERS = [1, 20]
const SECONDS = 5
const GOAL = { p50: 10, p99: 60 }
const EPOCH = 1

interface Place {
  readonly name: string
  readonly longshore: Longshore
  /** Of the process that writes: this one. */
  readonly core: OpenCore
}

interface Measured extends Seen {
  readonly stored: readonly number[]
}

/**
 * From a build's line in its pipe to a viewer of the API in another process, stored in the database before it is
 * sent. The writer is in the API's process, as with both roles in one, or in a process of its own.
 */
export async function run(): Promise<void> {
  await using single = await Longshore.create()
  await using singleCore = await open(single)
  await using _api = await startApi(singleCore)
  await using double = await Longshore.create()
  await double.start({ ROLES: 'api' })
  await using doubleCore = await open(double)
  const places: Place[] = [
    { name: 'one process', longshore: single, core: singleCore },
    { name: 'two processes', longshore: double, core: doubleCore },
  ]
  const rows: string[][] = []
  for (const index of rounds(RATES.length * VIEWERS.length)) {
    const viewers = VIEWERS[Math.floor(index / RATES.length)] ?? 1
    const rate = RATES[index % RATES.length] ?? 0
    for (const state of places) rows.push(rowOf(state, rate, viewers, await measure(state, rate, viewers)))
  }
  const header = [
    'writer and API in',
    'viewers',
    'lines/s',
    'stored p50',
    'stored p99',
    'seen p50',
    'seen p99',
  ]
  const title = `Build line to viewer, ms, ${SECONDS} s each; stored: from the line to the database's answer`
  printTable(title, [...header, 'events', 'goal p50', 'goal p99'], rows)
}

export function open(longshore: Longshore): Promise<OpenCore> {
  const { database, dataDir, port, routerPort } = longshore.installation
  const env = {
    DATABASE_URL: database.url,
    DATA_DIR: dataDir,
    PORT: String(port),
    ROUTER_PORT: String(routerPort),
    ADMIN_TOKEN: TOKEN,
  }
  return openCore(readConfig(env), createLogger('warn'))
}

function rowOf({ name }: Place, rate: number, viewers: number, measured: Measured): string[] {
  const { stored, p50, p99, events } = measured
  const times = [quantile(stored, 0.5), quantile(stored, 0.99), p50, p99].map(ms)
  return [
    name,
    String(viewers),
    String(rate),
    ...times,
    String(events),
    atMost(GOAL.p50, p50),
    atMost(GOAL.p99, p99),
  ]
}

async function measure(state: Place, rate: number, viewers: number): Promise<Measured> {
  const { core, longshore } = state
  const id = await insertDeployment(longshore)
  const stored: number[] = []
  const log = new LogWriter(core.database, recording(core.hub, stored), writerOptions(id))
  log.phase = DeploymentStatus.BUILDING
  log.system('ready')
  const viewer = forkViewer(longshore.port, id, viewers)
  try {
    await once(viewer, 'message')
    await pour(log, rate)
    const seen = once(viewer, 'message') as Promise<[Seen]>
    await end(core, log, id)
    const [measured] = await seen
    if (measured.lines.some((lines) => lines !== rate * SECONDS)) {
      throw new Error(`of ${rate * SECONDS} lines the viewers got ${measured.lines.join(', ')}`)
    }
    return { ...measured, stored }
  } finally {
    log.close()
    viewer.kill()
  }
}

/** Notes when the lines of a chunk were stored, after those who wait have been told. */
function recording(hub: LogAnnouncer, stored: number[]): LogAnnouncer {
  return {
    windowMs: (id) => hub.windowMs(id),
    announce: (id, chunks) => {
      const at = monotonic()
      hub.announce(id, chunks)
      for (const { text } of chunks) for (const written of writtenAt(text)) stored.push(at - written)
    },
  }
}

export function writerOptions(deploymentId: string) {
  const onStop = () => {
    throw new Error('the claim was lost')
  }
  return { deploymentId, epoch: EPOCH, secrets: [], onStop }
}

/** What a build prints, through a pipe. */
async function pour(log: LogWriter, rate: number): Promise<void> {
  const script = fileURLToPath(new URL('log-source.js', import.meta.url))
  const source = spawn(process.execPath, [script, String(rate), String(SECONDS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = log.output(LogStream.STDOUT)
  for await (const bytes of source.stdout) await output.write(bytes as Buffer)
  output.end()
  await log.flush()
}

export async function end(
  { database, wakeups }: OpenCore,
  log: LogWriter,
  deploymentId: string,
): Promise<void> {
  const overflowTail = await log.overflowTail()
  const settlement = { to: DeploymentStatus.FAILED, text: 'Measured.', overflowTail }
  await settle(database, { deploymentId, epoch: EPOCH }, settlement)
  wakeups.deploymentSettled(deploymentId)
}

function forkViewer(port: number, deploymentId: string, viewers: number): ChildProcess {
  const script = fileURLToPath(new URL('log-viewer.js', import.meta.url))
  return fork(script, [String(port), deploymentId, String(viewers)], { execArgv: [] })
}

/** A deployment that builds, claimed for an hour by nobody. */
export async function insertDeployment(longshore: Longshore): Promise<string> {
  const [app, stage, id] = [unique(), unique(), unique()]
  await longshore.rows(
    `INSERT INTO app (id, name, repo_url, dockerfile_path, context_path) VALUES ($1, $1, 'file:///x', 'Dockerfile', '.')`,
    [app],
  )
  await longshore.rows(`INSERT INTO stage (id, app_id, name) VALUES ($1, $2, 'production')`, [stage, app])
  await longshore.rows(
    `INSERT INTO deployment (id, app_id, stage_id, status, trigger, epoch, lease_owner, lease_until)
     VALUES ($1, $2, $3, 'BUILDING', 'CREATE', $4, 'bench', now() + interval '1 hour')`,
    [id, app, stage, EPOCH],
  )
  await longshore.rows('INSERT INTO log_stream (deployment_id, epoch) VALUES ($1, $2)', [id, EPOCH])
  return id
}
