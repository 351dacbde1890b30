import { createApp } from '../test/support/client.js'
import type { TestRepository } from '../test/support/repository.js'
import { until } from '../test/support/server.js'
import { createRepository, unique } from './apps.js'
import { Baselines } from './baselines.js'
import { Longshore, PHASES } from './longshore.js'
import { atLeast, median, ms, printTable, ratios, ratioText, rotated, rounds, spread } from './report.js'

const APPS = 24
const PARALLEL = 8
const GOAL = 0.95

/** Deployments a minute at 8 in parallel, against the same builds and containers without anything around them. */
export async function run(count: number): Promise<void> {
  using baselines = new Baselines()
  await using longshore = await Longshore.create()
  await longshore.start({ ENGINE_CONCURRENCY: String(PARALLEL) })
  const variants = [
    { name: 'bare pipeline', rates: [] as number[], work: (urls: string[]) => bare(baselines, urls) },
    { name: 'Longshore', rates: [] as number[], work: (urls: string[]) => ours(longshore, urls) },
  ] as const
  for (const round of rounds(count)) {
    for (const { rates, work } of rotated(variants, round)) {
      const repositories: TestRepository[] = []
      try {
        for (let app = 0; app < APPS; app++) repositories.push(createRepository('small', unique()))
        rates.push((APPS / (await work(repositories.map(({ url }) => url)))) * 60_000)
      } finally {
        for (const repository of repositories) repository[Symbol.dispose]()
      }
    }
  }
  const [theirs, own] = variants
  const values = ratios(own.rates, theirs.rates)
  const title = `Deployments a minute, ${APPS} small apps, ${PARALLEL} in parallel, ${count} rounds: median (least–most)`
  const row = [...variants.map(({ rates }) => spread(rates, ms)), spread(values, ratioText)]
  printTable(
    title,
    ['bare pipeline', 'Longshore', 'ratio', 'goal'],
    [[...row, atLeast(GOAL, median(values))]],
  )
  await printPhases(longshore)
}

/** Milliseconds for all; removes what was made afterwards, unmeasured. */
async function bare(baselines: Baselines, urls: string[]): Promise<number> {
  const waiting = [...urls]
  const startedAt = performance.now()
  const lane = async () => {
    for (let url = waiting.shift(); url !== undefined; url = waiting.shift()) await baselines.bare(url)
  }
  await Promise.all(Array.from({ length: PARALLEL }, lane))
  const took = performance.now() - startedAt
  baselines.clear()
  return took
}

async function ours(longshore: Longshore, urls: string[]): Promise<number> {
  const startedAt = performance.now()
  const created = await Promise.all(
    urls.map((repoUrl) => createApp(longshore.port, { name: unique(), repoUrl })),
  )
  const ids = created.map(({ deploymentId }) => deploymentId)
  const sql = `SELECT count(*) FILTER (WHERE status = 'RUNNING')::int AS running,
                      count(*) FILTER (WHERE status = 'FAILED')::int AS failed FROM deployment WHERE id = ANY($1)`
  await until(async () => {
    const [state] = await longshore.rows<{ running: number; failed: number }>(sql, [ids])
    if (state?.failed) throw new Error(`${state.failed} deployments failed`)
    return state?.running === APPS
  })
  const took = performance.now() - startedAt
  await keepPhases(longshore)
  await longshore.deleteApps(created.map(({ appId }) => appId))
  return took
}

const KEEP = `
  INSERT INTO bench_phase
  SELECT from_status, extract(epoch FROM at - before)::float8 * 1000 FROM (
    SELECT from_status, to_status, at, lag(at) OVER (PARTITION BY deployment_id ORDER BY id) AS before FROM deployment_event
  ) e WHERE before IS NOT NULL`

/** Apps are deleted with their events: what each phase took is kept beside them. */
async function keepPhases(longshore: Longshore): Promise<void> {
  await longshore.rows('CREATE TABLE IF NOT EXISTS bench_phase (status text, took float8)')
  await longshore.rows(KEEP)
}

async function printPhases(longshore: Longshore): Promise<void> {
  const found = await longshore.rows<{ status: string; took: number[] }>(
    'SELECT status, array_agg(took) AS took FROM bench_phase GROUP BY status',
  )
  const row = ['PENDING', 'CLONING', 'BUILDING', 'STARTING', 'ROUTING'].map((status) =>
    ms(median(found.find((one) => one.status === status)?.took ?? [])),
  )
  printTable('Where a deployment of Longshore spends it meanwhile, ms, medians', PHASES, [row])
}
