import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Disposal } from '../src/disposal.js'
import { containerName } from '../src/engine/addresses.js'
import { createId } from '../src/engine/names.js'
import { TestProcess } from '../test/support/engine.js'
import { untilServes } from './baselines.js'
import { Longshore } from './longshore.js'
import { requirePrograms, startFileServer, startProxy } from './nginx.js'
import { median, ms, printTable, ratios, ratioText, rotated, rounds, spread } from './report.js'
import { CONNECTIONS, type Load, measure, type Measured, SECONDS } from './wrk.js'

const SMALL = 'a small answer of a few dozen bytes, as of an API'
const LARGE_BYTES = 64 * 1024
const APP = 'measured'

const LOADS: readonly (Load & { readonly title: string })[] = [
  { title: 'small answer, kept connections', path: '/', fresh: false },
  { title: '64 KiB answer, kept connections', path: '/large', fresh: false },
  { title: 'small answer, fresh connections', path: '/', fresh: true },
]

/** A way to the same server; what it measured by load, in the order of {@link LOADS}. */
interface Way {
  readonly name: string
  readonly port: number
  readonly measured: Measured[][]
}

/** The built-in router of a worker process against nginx, and against no proxy at all, in turn. */
export async function run(count: number): Promise<void> {
  requirePrograms('nginx', 'wrk')
  await using opened = new Disposal()
  const folder = mkdtempSync(join(tmpdir(), 'longshore-router-'))
  opened.defer(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755) // nginx reads it as another user
  writeFileSync(join(folder, 'index.html'), SMALL)
  writeFileSync(join(folder, 'large'), Buffer.alloc(LARGE_BYTES, 'longshore '))
  const upstream = opened.use(await startFileServer(folder))
  const nginx = opened.use(await startProxy(folder, upstream.port))
  const longshore = opened.use(await Longshore.create())
  const host = await route(longshore, upstream.port)
  const way = (name: string, port: number): Way => ({ name, port, measured: LOADS.map(() => []) })
  const ways = [
    way('direct', upstream.port),
    way('nginx', nginx.port),
    way('Longshore', longshore.installation.routerPort),
  ]
  for (const { port } of ways) await untilServes({ host: '127.0.0.1', port, name: host }, SMALL)
  for (const round of rounds(count)) {
    for (const [index, load] of LOADS.entries()) {
      for (const { port, measured } of rotated(ways, round)) {
        measured[index]?.push(measure(port, host, load, folder))
      }
    }
  }
  print(ways, count)
}

/** A worker process whose router leads to the server, and whose engine has nothing to do; gives the host. */
export async function route(longshore: Longshore, port: number): Promise<string> {
  await using own = await TestProcess.open(longshore.installation.database)
  const input = { name: APP, repoUrl: 'https://git.invalid/x.git', deploy: false }
  const { id: appId } = await own.commands.apps.create(input)
  const id = createId()
  // Another worker's, as it were: what has no containers is forgotten where it is not under way.
  await longshore.rows(
    `INSERT INTO deployment (id, app_id, stage_id, status, trigger, addresses, port, lease_owner, lease_until)
     SELECT $1, $2, s.id, 'STARTING', 'MANUAL', ARRAY['127.0.0.1'], $3, 'another', now() + interval '1 hour'
       FROM stage s WHERE s.app_id = $2`,
    [id, appId, port],
  )
  await longshore.start({ ROLES: 'worker' })
  return `${containerName(APP, id)}.localhost`
}

function print(ways: readonly Way[], count: number): void {
  for (const [index, { title }] of LOADS.entries()) {
    const of = (upstream: Way, value: keyof Measured) =>
      (upstream.measured[index] ?? []).map((one) => one[value])
    const [direct, nginx] = ways.map((upstream) => of(upstream, 'perSecond'))
    const rows = ways.map((upstream) => {
      const rates = of(upstream, 'perSecond')
      return [
        upstream.name,
        spread(rates, (value) => value.toFixed(0)),
        ms(median(of(upstream, 'p50Ms'))),
        ms(median(of(upstream, 'p99Ms'))),
        spread(ratios(rates, nginx ?? []), ratioText),
        spread(ratios(rates, direct ?? []), ratioText),
      ]
    })
    printTable(
      `${title}, ${CONNECTIONS} connections, ${count} rounds of ${SECONDS} s: median (least–most)`,
      ['', 'requests/s', 'p50, ms', 'p99, ms', 'ratio to nginx', 'ratio to direct'],
      rows,
    )
  }
}
