import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startEmbeddedServer } from '../src/postgres/embedded-server.js'
import { makeTemplate } from '../test/support/database-template.js'
import { run as api } from './api.js'
import { run as bytes } from './bytes.js'
import { run as claim } from './claim.js'
import { run as deploy } from './deploy.js'
import { run as fanout } from './fanout.js'
import { run as fetch } from './fetch.js'
import { run as idle } from './idle.js'
import { run as idleConnections } from './idle-connections.js'
import { run as log } from './log.js'
import { run as queue } from './queue.js'
import { interrupt, printMachine, say } from './report.js'
import { run as router } from './router.js'
import { run as rules } from './rules.js'
import { run as throughput } from './throughput.js'
import { run as traefikLabels } from './traefik-labels.js'
import { run as traffic } from './traffic.js'

interface Benchmark {
  run(rounds: number): Promise<void>
  /** How often, unless `--rounds=N` says otherwise. */
  readonly rounds: number
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  deploy: { run: deploy, rounds: 5 },
  fetch: { run: fetch, rounds: 9 },
  claim: { run: claim, rounds: 1 },
  queue: { run: queue, rounds: 1 },
  log: { run: log, rounds: 1 },
  bytes: { run: bytes, rounds: 3 },
  fanout: { run: fanout, rounds: 3 },
  api: { run: api, rounds: 5 },
  throughput: { run: throughput, rounds: 3 },
  idle: { run: idle, rounds: 3 },
  router: { run: router, rounds: 3 },
  'idle-connections': { run: idleConnections, rounds: 1 },
  traffic: { run: traffic, rounds: 1 },
  rules: { run: rules, rounds: 1 },
  'traefik-labels': { run: traefikLabels, rounds: 1 },
}

/** `npm run bench -- claim log --rounds=9`: those named, or all; each in its own installation. */
async function main(args: readonly string[]): Promise<void> {
  const options = { rounds: { type: 'string' }, yes: { type: 'boolean' } } as const
  const { values, positionals: given } = parseArgs({ args: [...args], options, allowPositionals: true })
  const names = given.length > 0 ? given : Object.keys(BENCHMARKS)
  const unknown = names.find((name) => !BENCHMARKS[name])
  if (unknown) throw new Error(`no benchmark "${unknown}"; there are ${Object.keys(BENCHMARKS).join(', ')}`)
  printMachine()
  for (const name of names) {
    const benchmark = BENCHMARKS[name]
    say(`\n${name}`)
    await benchmark?.run(values.rounds === undefined ? benchmark.rounds : Number(values.rounds))
  }
}

/** A PostgreSQL of this run's own, unless TEST_DATABASE_URL names a server. */
async function withDatabase(work: () => Promise<void>): Promise<void> {
  const given = process.env.TEST_DATABASE_URL
  if (given) {
    await makeTemplate(given)
    return work()
  }
  const folder = mkdtempSync(join(tmpdir(), 'longshore-bench-db-'))
  try {
    await using server = await startEmbeddedServer(folder)
    process.env.TEST_DATABASE_URL = server.url
    await makeTemplate(server.url)
    await work()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
await withDatabase(() => main(process.argv.slice(2))).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
})
