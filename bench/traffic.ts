import { setTimeout as sleep } from 'node:timers/promises'
import { failuresOf, sendLoad, type Timeline, versioned } from '../test/support/load.js'
import type { LoadReport } from '../test/support/load-process.js'
import { webApp } from '../test/support/repository.js'
import { Rollout } from '../test/support/rollout.js'
import type { ServerProcess } from '../test/support/server.js'
import { Longshore } from './longshore.js'
import { ms, printTable, quantile, rounds, say } from './report.js'

const SECONDS = 300
const PER_SECOND = 200
const SOCKETS = 8
const GOOD = 20
const BROKEN = ['ends', 'sickens', 'does not build', 'sickens', 'ends'] as const
/** A broken one after so many good ones. */
const GOOD_BETWEEN = GOOD / BROKEN.length
/** From the start of one deployment to that of the next, if it has ended: the load goes on a while after the last. */
const EVERY_MS = ((SECONDS - 25) * 1000) / (GOOD + BROKEN.length)
/** The other worker is killed in the first deployment from here on that it holds. */
const KILL_FROM = 10
const LOOK_MS = 20

const ENV = { WATCH_SECONDS: '8', DRAIN_SECONDS: '2', LEASE_SECONDS: '10', POLL_SECONDS: '1' }

/** What the other worker held when it was killed. */
interface Killed {
  readonly deploymentId: string
  readonly status: string
}

/**
 * 200 requests a second for five minutes, over good and broken deployments and the death of a worker. The load goes
 * through the router of one process; the worker that is killed is another one, without a router (ROUTER=off), because
 * whoever kills a router kills its connections.
 */
export async function run(count: number): Promise<void> {
  for (const _round of rounds(count)) {
    await using longshore = await Longshore.create()
    await longshore.start(ENV)
    const other = await longshore.start({ ...ENV, ROLES: 'worker', ROUTER: 'off' })
    await using rollout = await Rollout.open(longshore.installation, 'v0')
    const order = { ...rollout.order, perSecond: PER_SECOND, seconds: SECONDS, sockets: SOCKETS }
    const [report, killed] = await sendLoad(order, deployments(rollout, longshore, other))
    await print(report, rollout, longshore, killed)
  }
}

async function deployments(rollout: Rollout, longshore: Longshore, other: ServerProcess): Promise<Killed> {
  const startedAt = performance.now()
  const search = new AbortController()
  let killing: Promise<Killed | null> = Promise.resolve(null)
  let good = 0
  for (let turn = 0; turn < GOOD + BROKEN.length; turn++) {
    await sleep(Math.max(startedAt + turn * EVERY_MS - performance.now(), 0))
    if (turn === KILL_FROM) killing = killAtWork(longshore, other, search.signal)
    const broken = turn % (GOOD_BETWEEN + 1) === GOOD_BETWEEN
    if (broken) await deployBroken(rollout, Math.floor(turn / (GOOD_BETWEEN + 1)), `v${good}`)
    else await rollout.good(`v${++good}`)
  }
  search.abort()
  const killed = await killing
  if (!killed) throw new Error('the other worker never held a deployment, so it was not killed')
  return killed
}

async function deployBroken(rollout: Rollout, index: number, serving: string): Promise<void> {
  const kind = BROKEN[index]
  if (kind === 'ends') await rollout.fails(versioned('ends', 'exit 3'), 'EXITED')
  else if (kind === 'sickens') await rollout.sickens(`sickens-${index}`, serving)
  else await rollout.fails(webApp('does not build', ['exit 1']), 'BUILD_FAILED')
}

/** Null: it held none until `signal` aborts. */
async function killAtWork(
  longshore: Longshore,
  worker: ServerProcess,
  signal: AbortSignal,
): Promise<Killed | null> {
  const sql = `SELECT id AS "deploymentId", status FROM deployment
    WHERE status IN ('BUILDING', 'STARTING', 'ROUTING') AND split_part(lease_owner, ':', 2) = $1`
  while (!signal.aborted) {
    const [held] = await longshore.rows<Killed>(sql, [String(worker.child.pid)])
    if (held) {
      await worker.kill()
      return held
    }
    await sleep(LOOK_MS)
  }
  return null
}

async function print(
  report: LoadReport,
  { timeline }: Rollout,
  longshore: Longshore,
  killed: Killed,
): Promise<void> {
  const { answers, sockets } = report
  const failures = failuresOf(report)
  const failed = [...failures.values()].reduce((sum, one) => sum + one, 0)
  const seconds = (endOf(answers) - startOf(answers)) / 1000
  const took = answers.map(({ sentAt, endedAt }) => endedAt - sentAt)
  const [ends] = await longshore.rows<Record<string, string>>(
    `SELECT count(*) FILTER (WHERE live_at IS NOT NULL) AS live, count(*) FILTER (WHERE status = 'FAILED') AS failed,
            count(*) FILTER (WHERE status = 'ROLLED_BACK') AS back,
            max(attempt) FILTER (WHERE d.id = $1) AS attempts,
            min(status) FILTER (WHERE d.id = $1) AS "end"
       FROM deployment d JOIN app a ON a.id = d.app_id WHERE a.name = 'load'`,
    [killed.deploymentId],
  )
  const title = `${Math.round(seconds)} s, ${PER_SECOND} requests a second, ${GOOD} good and ${BROKEN.length} broken deployments, one kill -9`
  printTable(
    title,
    ['', ''],
    [
      ['requests', `${answers.length} (${Math.round(answers.length / seconds)} a second)`],
      ['  failed or reset', zero(failed)],
      ['  of a wrong version', zero(timeline.wrong(answers).length)],
      ['  p50, p99, slowest, ms', [0.5, 0.99, 1].map((part) => ms(quantile(took, part))).join(', ')],
      ['WebSocket messages, of them echoed', `${sockets.sent}, ${sockets.echoed}`],
      [`  of ${SOCKETS} connections broken`, zero(sockets.failures.length)],
      ['versions that served', `${ends?.live}`],
      ['  rolled back', `${ends?.back}`],
      ['versions that failed', `${ends?.failed}`],
      ['the worker was killed in', killed.status],
      ['  that deployment', `${ends?.end} in attempt ${ends?.attempts}`],
    ],
  )
  for (const [words, times] of failures) say(`  ${times} × ${words}`)
  sayWhen(answers, timeline)
  for (const words of sockets.failures.slice(0, 5)) say(`  WebSocket: ${words}`)
}

function startOf(answers: LoadReport['answers']): number {
  return Math.min(...answers.map(({ sentAt }) => sentAt))
}

function endOf(answers: LoadReport['answers']): number {
  return Math.max(...answers.map(({ endedAt }) => endedAt))
}

/** Where in the run it was: what failed, and which version was about to serve or served then. */
function sayWhen(answers: LoadReport['answers'], timeline: Timeline): void {
  const first = startOf(answers)
  for (const { failure, sentAt, endedAt } of answers.filter(({ failure }) => failure !== null).slice(0, 10)) {
    const at = `${((sentAt - first) / 1000).toFixed(2)} s, for ${ms(endedAt - sentAt)} ms`
    say(`  ${failure} at ${at}, last version ${timeline.lastBefore(endedAt)}`)
  }
}

function zero(value: number): string {
  return `${value} (0: ${value === 0 ? 'met' : 'missed'})`
}
