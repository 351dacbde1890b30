import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Installation, TOKEN, until } from '../test/support/server.js'
import { processorMs, residentMib } from './processor.js'
import { atMost, median, printTable, rounds, spread } from './report.js'

const IDLE_MS = 30_000
const GOAL_MIB = 100
const ENTRY = new URL('../src/main.js', import.meta.url).href
const SERVER = `import { main } from ${JSON.stringify(ENTRY)}; await main()`
const BARE = 'setInterval(() => undefined, 1000)'

interface Variant {
  readonly name: string
  readonly args: readonly string[]
  readonly script: string
  readonly memory: number[]
  readonly cpu: number[]
}

/** Memory of one process with both roles 30 s after its start, without load and without PostgreSQL. */
export async function run(count: number): Promise<void> {
  const variants: Variant[] = [
    { name: 'Longshore', args: ['--enable-source-maps'], script: SERVER, memory: [], cpu: [] },
    { name: 'Longshore without source maps', args: [], script: SERVER, memory: [], cpu: [] },
    { name: 'bare Node.js', args: [], script: BARE, memory: [], cpu: [] },
  ]
  for (const _round of rounds(count)) await Promise.all(variants.map(measure))
  const rows = variants.map(({ name, memory, cpu }) => [
    name,
    spread(memory, (value) => value.toFixed(1)),
    spread(cpu, (value) => value.toFixed(2)),
    name === 'bare Node.js' ? '' : atMost(GOAL_MIB, median(memory)),
  ])
  const title = `Idle, ${IDLE_MS / 1000} s after the start, ${count} rounds: median (least–most)`
  printTable(title, ['', 'VmRSS, MiB', 'CPU of the last half, % of a core', 'goal'], rows)
}

async function measure({ args, script, memory, cpu }: Variant): Promise<void> {
  await using installation = await Installation.create()
  const env = {
    PATH: process.env.PATH,
    DATABASE_URL: installation.database.url,
    DATA_DIR: installation.dataDir,
    PORT: String(installation.port),
    ROUTER_PORT: String(installation.routerPort),
    ADMIN_TOKEN: TOKEN,
  }
  const child = spawn(process.execPath, [...args, '--input-type=module', '--eval', script], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  try {
    if (script === SERVER) await untilAnswers(child)
    await sleep(IDLE_MS / 2)
    const before = processorMs(child.pid)
    await sleep(IDLE_MS / 2)
    cpu.push(((processorMs(child.pid) - before) / (IDLE_MS / 2)) * 100)
    memory.push(residentMib(child.pid))
  } finally {
    const ended = once(child, 'exit')
    if (child.exitCode === null && child.kill()) await ended
  }
}

async function untilAnswers(child: ChildProcess): Promise<void> {
  let said = ''
  child.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')))
  await until(() => {
    if (child.exitCode !== null) throw new Error(`the server ended: ${said}`)
    return said.includes('API started')
  })
}
