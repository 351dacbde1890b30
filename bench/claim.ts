import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApp } from '../test/support/client.js'
import { until } from '../test/support/server.js'
import { unique } from './apps.js'
import { Longshore } from './longshore.js'
import { atMost, ms, printTable, quantile, rounds } from './report.js'

const DEPLOYMENTS = 200
const GOAL = { p50: 10, p99: 50 }

interface Waited {
  /** From the begin of the transaction that queued it: `created_at` is the transaction's time. */
  readonly sinceBegin: number
  /** From its last statement but a reading one, right before the commit. */
  readonly sinceCommit: number
}

/** PENDING → CLONING on an idle engine, one deployment at a time, with one and with two processes in turn. */
export async function run(): Promise<void> {
  await using single = await Longshore.create()
  await single.start()
  await using double = await Longshore.create()
  await double.start({ ROLES: 'worker' })
  await double.start({ ROLES: 'api' })
  const places = [
    { name: 'one process', longshore: single, waited: [] as Waited[] },
    { name: 'two processes', longshore: double, waited: [] as Waited[] },
  ]
  for (const _round of rounds(DEPLOYMENTS)) {
    for (const { longshore, waited } of places) {
      await sleep(randomInt(40, 140)) // at any point between two polls, and after the last wake-up's gathering
      waited.push(await claim(longshore))
    }
  }
  printWaits(places)
}

/** A deployment that fails at once after its claim: there is no such repository. */
async function claim(longshore: Longshore): Promise<Waited> {
  const { deploymentId } = await createApp(longshore.port, { name: unique(), repoUrl: 'file:///nonexistent' })
  const sql = `SELECT 1 FROM deployment WHERE id = $1 AND status = 'FAILED'`
  await until(async () => (await longshore.rows(sql, [deploymentId])).length > 0, 10)
  const [waited] = await longshore.rows<Waited>(
    `SELECT extract(epoch FROM c.at - d.created_at)::float8 * 1000 AS "sinceBegin",
            extract(epoch FROM c.at - p.at)::float8 * 1000 AS "sinceCommit"
       FROM deployment d
       JOIN deployment_event p ON p.deployment_id = d.id AND p.to_status = 'PENDING'
       JOIN deployment_event c ON c.deployment_id = d.id AND c.to_status = 'CLONING'
      WHERE d.id = $1`,
    [deploymentId],
  )
  if (!waited) throw new Error(`${deploymentId} was not claimed`)
  return waited
}

function printWaits(places: readonly { name: string; waited: readonly Waited[] }[]): void {
  const rows = places.map(({ name, waited }) => {
    const begin = waited.map((one) => one.sinceBegin)
    const commit = waited.map((one) => one.sinceCommit)
    const [p50, p99] = [quantile(begin, 0.5), quantile(begin, 0.99)]
    const fromCommit = [quantile(commit, 0.5), quantile(commit, 0.99)]
    const goals = [atMost(GOAL.p50, p50), atMost(GOAL.p99, p99)]
    return [name, ...[p50, p99, Math.max(...begin), ...fromCommit].map(ms), ...goals]
  })
  const header = ['', 'p50', 'p99', 'most', 'p50 from commit', 'p99 from commit', 'goal p50', 'goal p99']
  printTable(`Claim on an idle engine, ms, ${DEPLOYMENTS} deployments each`, header, rows)
}
