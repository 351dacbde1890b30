import { setTimeout as sleep } from 'node:timers/promises'
import { createApp, deploy, graphql, updateStage } from '../test/support/client.js'
import { FakeDocker } from '../test/support/fake-docker/fake-docker.js'
import { type ServerProcess, until } from '../test/support/server.js'
import { createRepository, unique } from './apps.js'
import { Longshore } from './longshore.js'
import { ms, printTable, quantile, rounds } from './report.js'
import { Staller } from './staller.js'

const DEPLOYMENTS = 1_000
const APPS = 50
/** Requests to deploy at once, and what each waits between two: they come while others are carried out. */
const LANES = 4
const PAUSE_MS = 40
const LEASE_SECONDS = 1
const STALLED_PART = 0.05
/** Longer than a lease: what it held is another's by then. */
const STOPPED_MS = 2_500

const ENV = {
  LEASE_SECONDS: String(LEASE_SECONDS),
  POLL_SECONDS: '1',
  ENGINE_CONCURRENCY: '8',
  DRAIN_SECONDS: '0',
  WATCH_SECONDS: '0',
}

interface Outcome {
  readonly seconds: number
  readonly staller: Staller
  readonly lostClaims: number
}

/** Two worker processes on one queue while claims are lost all the time; the Docker engine is a fake one. */
export async function run(count: number): Promise<void> {
  for (const round of rounds(count)) {
    await using docker = await FakeDocker.start()
    await using longshore = await Longshore.create()
    const env = { ...ENV, DOCKER_HOST: docker.host }
    await longshore.start({ ROLES: 'api' })
    const workers = [
      await longshore.start({ ...env, ROLES: 'worker' }),
      await longshore.start({ ...env, ROLES: 'worker', ROUTER: 'off' }),
    ]
    await report(longshore, await soak(longshore, workers), round, count)
    const { apps } = await graphql<{ apps: { nodes: { id: string }[] } }>(
      longshore.port,
      `{ apps(first: ${APPS}) { nodes { id } } }`,
    )
    await longshore.deleteApps(apps.nodes.map(({ id }) => id))
  }
}

async function soak(longshore: Longshore, workers: readonly ServerProcess[]): Promise<Outcome> {
  using repository = createRepository('small', unique())
  const apps = await createApps(longshore.port, repository.url)
  await using staller = await Staller.open(longshore, LEASE_SECONDS * 1000, STALLED_PART)
  const startedAt = performance.now()
  staller.start()
  await Promise.all([enqueueAll(longshore.port, apps), stopInTurn(workers)])
  await staller.stop()
  await until(async () => {
    const pending = `SELECT 1 FROM deployment WHERE status IN ('PENDING', 'CLONING', 'BUILDING', 'STARTING', 'ROUTING') LIMIT 1`
    return (await longshore.rows(pending)).length === 0
  })
  const seconds = (performance.now() - startedAt) / 1000
  const said = workers.map(({ output }) => output).join('')
  const lostClaims = said.match(/the claim of deployment \S+ is lost/g)?.length ?? 0
  return { seconds, staller, lostClaims }
}

async function createApps(port: number, repoUrl: string): Promise<string[]> {
  const ids: string[] = []
  for (let count = 0; count < APPS; count++) {
    const { appId } = await createApp(port, { name: unique(), repoUrl, deploy: false })
    await updateStage(port, appId, { healthCheck: { stableSeconds: 0 } })
    ids.push(appId)
  }
  return ids
}

async function enqueueAll(port: number, apps: readonly string[]): Promise<void> {
  let next = 0
  const lane = async () => {
    for (let index = next++; index < DEPLOYMENTS; index = next++) {
      await deploy(port, apps[(index * 7) % APPS] ?? '')
      await sleep(PAUSE_MS)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

/** Each worker once is not there for longer than its leases, and then goes on as if nothing had been. */
async function stopInTurn(workers: readonly ServerProcess[]): Promise<void> {
  for (const { child } of workers) {
    await sleep(STOPPED_MS)
    child.kill('SIGSTOP')
    await sleep(STOPPED_MS)
    child.kill('SIGCONT')
  }
}

const COUNTS = `
  SELECT (SELECT count(*)::int FROM deployment) AS all,
         (SELECT count(*)::int FROM deployment WHERE live_at IS NOT NULL) AS live,
         (SELECT count(*)::int FROM deployment WHERE status = 'RUNNING') AS running,
         (SELECT count(*)::int FROM deployment WHERE status = 'SUPERSEDED') AS superseded,
         (SELECT count(*)::int FROM deployment WHERE status = 'FAILED') AS failed,
         (SELECT count(*)::int FROM deployment_event WHERE to_status = 'CLONING') AS claims,
         (SELECT count(*)::int FROM deployment_event WHERE reason = 'the worker that held it stopped') AS expired,
         (SELECT count(*)::int FROM (
            SELECT d.id FROM deployment d LEFT JOIN deployment_event e ON e.deployment_id = d.id
               AND e.to_status IN ('RUNNING', 'SUPERSEDED', 'FAILED', 'CANCELLED')
             GROUP BY d.id HAVING count(e.id) <> 1) x) AS "notOnce",
         (SELECT count(*)::int FROM log_stream l WHERE end_status IS NULL OR last_seq <>
            (SELECT count(*) FROM log_chunk c WHERE c.deployment_id = l.deployment_id)) AS "brokenLogs"`

type Counts = Readonly<
  Record<
    'all' | 'live' | 'running' | 'superseded' | 'failed' | 'claims' | 'expired' | 'notOnce' | 'brokenLogs',
    number
  >
>

/** From the first time that a deployment could be claimed; behind one of the same stage it waits for that. */
const WAITS = `
  SELECT extract(epoch FROM c.at - greatest(p.at, free.at))::float8 * 1000 AS waited
    FROM deployment d
    JOIN deployment_event p ON p.deployment_id = d.id AND p.from_status IS NULL
    JOIN LATERAL (SELECT id, at FROM deployment_event WHERE deployment_id = d.id AND to_status = 'CLONING'
                   ORDER BY id LIMIT 1) c ON true
    LEFT JOIN LATERAL (SELECT e.at FROM deployment_event e JOIN deployment o ON o.id = e.deployment_id
                        WHERE o.stage_id = d.stage_id AND o.id <> d.id AND e.id < c.id
                          AND e.from_status IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING')
                          AND e.to_status NOT IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING')
                        ORDER BY e.id DESC LIMIT 1) free ON true`

async function report(
  longshore: Longshore,
  { seconds, staller, lostClaims }: Outcome,
  round: number,
  count: number,
): Promise<void> {
  const [counts] = await longshore.rows<Counts>(COUNTS)
  if (!counts) throw new Error('nothing was counted')
  const waits = (await longshore.rows<{ waited: number }>(WAITS)).map(({ waited }) => waited)
  const none = (value: number) => `${value} (0: ${value === 0 ? 'met' : 'missed'})`
  const rows = [
    ['deployments a second, all', (counts.all / seconds).toFixed(1)],
    ['reached RUNNING a second', (counts.live / seconds).toFixed(1)],
    ['claims', String(counts.claims)],
    ['  stalled past their lease', `${staller.stalled} (${percent(staller.stalled / counts.claims)})`],
    ['leases expired', String(counts.expired)],
    ['claims that a worker found lost', String(lostClaims)],
    ['stale writes tried', String(staller.tried)],
    ['stale writes that changed something', none(staller.accepted)],
    ['reached RUNNING', `${counts.live} (${counts.running} at the end, of ${APPS} apps)`],
    ['SUPERSEDED', String(counts.superseded)],
    ['FAILED', none(counts.failed)],
    ['not ended exactly once', none(counts.notOnce)],
    ['logs with a gap or without an end', none(counts.brokenLogs)],
    ['stage free → claimed, p50, ms', ms(quantile(waits, 0.5))],
    ['stage free → claimed, p99, ms', ms(quantile(waits, 0.99))],
  ]
  const title =
    `${DEPLOYMENTS} deployments of ${APPS} apps, two workers and a fake Docker engine, ` +
    `leases of ${LEASE_SECONDS} s, round ${round + 1} of ${count}: ${seconds.toFixed(1)} s`
  printTable(title, ['', 'seen'], rows)
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`
}
