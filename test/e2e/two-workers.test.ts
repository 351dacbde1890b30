import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createApp, deploy, followLog, graphql } from '../support/client.js'
import { freshStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const APPS = 6
/** `npm run bench -- queue` has a thousand. */
const DEPLOYMENTS = 24
const IN_FLIGHT = ['CLONING', 'BUILDING', 'STARTING', 'ROUTING']
/** A switch has its events and the end of its log when the routers have followed. */
const SHOWN = 'SELECT coalesce(shown_as, status) AS status FROM deployment'
const FINAL = ['RUNNING', 'RETIRED', 'FAILED', 'CANCELLED', 'SUPERSEDED']

interface EventRow {
  stage_id: string
  deployment_id: string
  to_status: string
}

test(`${DEPLOYMENTS} deployments of ${APPS} apps by two workers: each ends once, never two in flight for one stage`, async () => {
  await using installation = await Installation.create()
  const { port } = installation
  await installation.start({ ROLES: 'api' })
  const workers = [
    await installation.start({ ROLES: 'worker', ENGINE_CONCURRENCY: '4' }),
    await installation.start({ ROLES: 'worker', ENGINE_CONCURRENCY: '4', ROUTER: 'off' }),
  ]
  using repository = new TestRepository(webApp('one of many'))
  const apps = await Promise.all(
    Array.from({ length: APPS }, (_, index) =>
      createApp(port, { name: `many-${index}`, repoUrl: repository.url }),
    ),
  )
  for (let count = APPS; count < DEPLOYMENTS; count++) {
    const app = apps[(count * 7) % APPS]
    assert.ok(app)
    await deploy(port, app.appId)
    await sleep(40)
  }
  const client = new pg.Client({ connectionString: installation.database.url })
  await client.connect()
  try {
    const statuses = await until(() => settled(client), 200)
    assert.equal(statuses.length, DEPLOYMENTS)
    assert.deepEqual(
      statuses.filter((status) => !FINAL.includes(status) || status === 'FAILED'),
      [],
    )
    assert.equal(statuses.filter((status) => status === 'RUNNING').length, APPS)

    const { rows } = await client.query<EventRow>(
      `SELECT d.stage_id, e.deployment_id, e.to_status FROM deployment_event e
         JOIN deployment d ON d.id = e.deployment_id ORDER BY e.id`,
    )
    checkOneInFlight(rows)
    const { rows: owners } = await client.query<{ worker: string }>(
      `SELECT DISTINCT split_part(id, ':', 2) AS worker FROM worker`,
    )
    assert.equal(owners.length, workers.length)
    const busy = workers.filter((worker) => worker.output.includes('deployment is running'))
    assert.equal(busy.length, 2, 'both workers have deployed')

    const { rows: streams } = await client.query<{ ended: boolean; whole: boolean }>(
      `SELECT s.end_status IS NOT NULL AS ended,
              s.last_seq = (SELECT count(*) FROM log_chunk c WHERE c.deployment_id = s.deployment_id) AS whole
         FROM log_stream s`,
    )
    assert.ok(streams.every(({ ended, whole }) => ended && whole))
  } finally {
    await client.end()
  }
  for (let index = 0; index < APPS; index++) {
    assert.equal((await installation.fetch(`many-${index}.localhost`)).body, 'one of many')
  }
  for (const { appId } of apps)
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
})

test('a viewer at the API process sees a worker process’s log live, whole and in order', async () => {
  await using installation = await Installation.create()
  const { port } = installation
  await installation.start({ ROLES: 'api' })
  await installation.start({ ROLES: 'worker' })
  const lines200 = 'i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); busybox usleep 5000; done'
  const steps = [freshStep(lines200)]
  using repository = new TestRepository(webApp('live', steps))
  const { appId, deploymentId } = await createApp(port, { name: 'live', repoUrl: repository.url })
  const [whole, reconnecting] = await Promise.all([
    followLog(port, deploymentId),
    followReconnecting(port, deploymentId, 5),
  ])
  const late = await followLog(port, deploymentId)
  const texts = [whole, reconnecting, late].map((events) => events.map((event) => event.text).join(''))
  assert.equal(texts[0], await storedText(installation.database.url, deploymentId))
  assert.equal(texts[1], texts[0])
  assert.equal(texts[2], texts[0])
  const lines = (texts[0] ?? '').split('\n').filter((line) => line.startsWith('line '))
  assert.deepEqual(
    lines,
    Array.from({ length: 200 }, (_, index) => `line ${index}`),
  )
  await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
})

/** Breaks off and comes back with the last seq, `times` times, then stays. */
async function followReconnecting(port: number, deploymentId: string, times: number) {
  const events = await followLog(port, deploymentId, 0, (seen) => seen.length >= 3)
  for (let count = 1; count < times; count++) {
    const after = events.at(-1)?.seq ?? 0
    events.push(...(await followLog(port, deploymentId, after, (seen) => seen.length >= 3)))
  }
  return [...events, ...(await followLog(port, deploymentId, events.at(-1)?.seq))]
}

async function storedText(url: string, deploymentId: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const sql = `SELECT string_agg(text, '' ORDER BY seq) AS text FROM log_chunk WHERE deployment_id = $1`
    const { rows } = await client.query<{ text: string }>(sql, [deploymentId])
    return rows[0]?.text ?? ''
  } finally {
    await client.end()
  }
}

async function settled(client: pg.Client): Promise<string[] | null> {
  const { rows } = await client.query<{ status: string }>(SHOWN)
  return rows.every(({ status }) => FINAL.includes(status)) ? rows.map(({ status }) => status) : null
}

function checkOneInFlight(events: readonly EventRow[]): void {
  const inFlight = new Map<string, string>()
  const ended = new Map<string, string[]>()
  for (const { stage_id: stage, deployment_id: id, to_status: status } of events) {
    const holder = inFlight.get(stage)
    if (IN_FLIGHT.includes(status)) {
      assert.ok(holder === undefined || holder === id, `${holder} and ${id} at once`)
      inFlight.set(stage, id)
    } else if (holder === id) inFlight.delete(stage)
    if (FINAL.includes(status)) ended.set(id, [...(ended.get(id) ?? []), status])
  }
  for (const [id, statuses] of ended) {
    const once = statuses.length === 1 || (statuses.length === 2 && statuses.join() === 'RUNNING,RETIRED')
    assert.ok(once, `${id} ended ${statuses.join()}`)
  }
}
