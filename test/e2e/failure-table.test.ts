import assert from 'node:assert/strict'
import { after, before, describe, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { followLog, graphql, readDeployment } from '../support/client.js'
import { docker, inspectContainer, isRunning } from '../support/docker.js'
import { GATE, openGate } from '../support/gate.js'
import { SET } from '../support/mutations.js'
import { BASE_IMAGE, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'
import { QUICK, scripted, SERVE, serving, STUBBORN } from '../support/serving.js'
import { visit } from '../support/visit.js'

// The rows of the failure table (docs/states.md) that no other test shows on the real engine. What the apps do takes
// time, so they do it side by side.
const ENV = {
  WATCH_SECONDS: '6',
  DRAIN_SECONDS: '20',
  ROUTER_CONFIRM_SECONDS: '2',
  LEASE_SECONDS: '10',
  POLL_SECONDS: '1',
  ENGINE_CONCURRENCY: '4',
}
/** From SIGTERM to SIGKILL. */
const STOP_GRACE_MS = 10_000
/** Serves until it is broken, and then ends whenever it is started. */
const FRAGILE = `[ -e /broken ] && exit 7; ${SERVE}`
/** Accepts connections, and closes each of them. */
const RUDE = 'exec busybox nc -ll -p 8080 -e /bin/false'

const EVENTS = `query ($id: ID!) { deployment(id: $id) { events { to } } }`

/** Ends what runs in a container, as a crash would. Nobody waits for it: it ends with its container. */
function crash(container: string, before = ':'): void {
  docker('exec', '--detach', container, '/bin/sh', '-c', `${before}; kill -9 -1`)
}

const breakForGood = (container: string) => crash(container, 'busybox touch /broken')

async function restartsOf(container: string): Promise<number> {
  return (await inspectContainer<{ RestartCount: number }>(container)).RestartCount
}

async function statusOf({ port }: Installation, id: string): Promise<string> {
  return (await readDeployment(port, id)).status
}

/** The statuses that a deployment has had, in order. */
async function historyOf({ port }: Installation, id: string): Promise<string[]> {
  const { deployment } = await graphql<{ deployment: { events: { to: string }[] } }>(port, EVENTS, { id })
  return deployment.events.map(({ to }) => to)
}

/** Whether nobody watches a version any more. */
function isOver(installation: Installation, id: string): Promise<boolean> {
  return holds(installation, 'SELECT 1 FROM deployment WHERE id = $1 AND watch_until IS NULL', [id])
}

/** Whether the switch of a stage's traffic waits for somebody else's transaction. */
function switchWaits(installation: Installation): Promise<boolean> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
    AND query LIKE '%FROM stage WHERE id = %FOR NO KEY UPDATE%'`
  return holds(installation, sql)
}

function holds(installation: Installation, sql: string, values: unknown[] = []): Promise<boolean> {
  return withDatabase(installation, async (client) => (await client.query(sql, values)).rows.length > 0)
}

async function withDatabase<T>(
  installation: Installation,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: installation.database.url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

describe('the failure table', { concurrency: true }, () => {
  let installation: Installation
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start(ENV)
  })
  after(() => installation[Symbol.asyncDispose]())

  const is = (id: string, status: string) =>
    until(async () => (await statusOf(installation, id)) === status, 100)
  const returnsFrom = async (container: string, id: string, t: TestContext) => {
    breakForGood(container)
    const startedAt = performance.now()
    await is(id, 'ROLLED_BACK')
    t.diagnostic(`from the crash to the return ${Math.round(performance.now() - startedAt)} ms`)
  }
  const page = async (app: string) => (await installation.fetch(`${app}.localhost`)).body
  const containersOf = async (app: string) =>
    (await installation.containers()).filter((name) => name.startsWith(`${app}-`))

  test('start: a user that is not there, a command that is not there', async () => {
    await using app = await serving(installation, 'unstarted', webApp('old'))
    await using seen = visit(installation.routerPort, 'unstarted.localhost')
    const nobody = await app.next(scripted(SERVE, 'new', 'USER nobody-here'))
    const { error } = await readDeployment(port, nobody.id)
    assert.deepEqual([nobody.end, error?.code, error?.phase], ['FAILED', 'START_FAILED', 'STARTING'])
    assert.match(error?.message ?? '', /nobody-here/)

    const missing = await app.next({
      Dockerfile: `FROM ${BASE_IMAGE}\nEXPOSE 8080\nCMD ["/no/such/program"]\n`,
    })
    const { error: exited } = await readDeployment(port, missing.id)
    assert.deepEqual([exited?.code, exited?.exitCode], ['EXITED', 127])
    assert.match(exited?.lastLines.join('\n') ?? '', /no\/such\/program/)

    assert.deepEqual(await containersOf('unstarted'), [`unstarted-${app.first}`])
    assert.deepEqual(seen.failures, [])
    assert.deepEqual([...seen.pages], ['old'])
  })

  test('route: connections are accepted and closed, so that no request gets through', async () => {
    await using app = await serving(installation, 'unreached', webApp('old'))
    await using seen = visit(installation.routerPort, 'unreached.localhost')
    const rude = await app.next(scripted(RUDE, 'new'))
    const { error } = await readDeployment(port, rude.id)
    assert.deepEqual([rude.end, error?.code, error?.phase], ['FAILED', 'ROUTER_UNREACHABLE', 'ROUTING'])
    assert.match(
      error?.message ?? '',
      /: GET \/ for host unreached-\S+ at [\d.]+:8080 had its connection (closed|reset)/,
    )
    assert.deepEqual(await containersOf('unreached'), [`unreached-${app.first}`])
    assert.deepEqual(seen.failures, [])
    assert.deepEqual([...seen.pages], ['old'])
  })

  test('switch: a claim that is lost right before the commit changes nothing; the next attempt runs', async () => {
    await using app = await serving(installation, 'late', webApp('old'), { ...QUICK, deadlineSeconds: 120 })
    await using seen = visit(installation.routerPort, 'late.localhost')
    const id = await app.begin(scripted(`${GATE}; ${SERVE}`, 'new'))
    await followLog(port, id, 0, (events) => events.at(-1)?.phase === 'STARTING')
    await until(() => isRunning(`late-${id}`).catch(() => false))
    await withDatabase(installation, async (client) => {
      await client.query('BEGIN')
      await client.query('SELECT 1 FROM stage WHERE id = $1 FOR UPDATE', [app.stageId])
      openGate(`late-${id}`)
      await until(() => switchWaits(installation))
      const steal = 'UPDATE deployment SET epoch = epoch + 1, lease_until = now() WHERE id = $1'
      await withDatabase(installation, (thief) => thief.query(steal, [id]))
      assert.equal(await page('late'), 'old')
      await client.query('COMMIT')
    })
    // The next attempt has a container of its own.
    await until(async () => {
      openGate(`late-${id}`)
      return (await statusOf(installation, id)) === 'RUNNING'
    })
    const log = (await followLog(port, id)).map(({ text }) => text).join('')
    assert.match(log, /Back in the queue: the worker that held it stopped/)
    const history = await historyOf(installation, id)
    assert.equal(history.filter((status) => status === 'RUNNING').length, 1, history.join())
    assert.ok(history.indexOf('RUNNING') > history.lastIndexOf('PENDING'), history.join())
    await until(() => [...seen.pages].includes('new'))
    assert.deepEqual(seen.failures, [])
    assert.deepEqual([...seen.pages], ['old', 'new'])
  })

  test('watch: of two versions that end again and again the newer is rolled back, once', async (t) => {
    await using app = await serving(installation, 'crashing', scripted(FRAGILE, 'old'))
    const next = await app.next(scripted(FRAGILE, 'new'))
    assert.equal(next.end, 'RUNNING', next.log)
    await returnsFrom(`crashing-${next.id}`, next.id, t)
    await until(async () => (await page('crashing')) === 'old')
    breakForGood(`crashing-${app.first}`)
    await until(async () => (await restartsOf(`crashing-${app.first}`)) > 2)
    assert.deepEqual((await historyOf(installation, app.first)).slice(-3), ['RUNNING', 'RETIRED', 'RUNNING'])
    assert.deepEqual((await historyOf(installation, next.id)).slice(-2), ['RUNNING', 'ROLLED_BACK'])
    await until(async () => (await containersOf('crashing')).length === 1)
    assert.deepEqual(await containersOf('crashing'), [`crashing-${app.first}`])
  })

  test('watch: what ends is rolled back with its exit code and its last lines, secrets masked', async () => {
    await using app = await serving(installation, 'telling', webApp('old'))
    const variables = [{ key: 'DATABASE', value: 'postgres://app:hunter2-hunter2@db' }]
    await graphql(port, SET, { id: app.stageId, v: variables })
    // Docker starts it again: most of the time it runs when the watcher looks.
    const script = `busybox httpd -p 8080 -h /www; ${GATE}; sleep 1; echo "cannot reach $DATABASE"; exit 3`
    const next = await app.next(scripted(script, 'new'))
    assert.equal(next.end, 'RUNNING', next.log)
    openGate(`telling-${next.id}`)
    await is(next.id, 'ROLLED_BACK')
    // On a busy machine its lines come after its status.
    const errorOf = async () => (await readDeployment(port, next.id)).error
    await until(async () => (await errorOf())?.lastLines.length !== 0)
    const error = await errorOf()
    assert.deepEqual([error?.code, error?.phase, error?.exitCode], ['ROLLED_BACK', 'RUNNING', 3])
    assert.match(error?.message ?? '', /exited and was restarted \(exit code 3\)$/)
    assert.deepEqual([...new Set(error?.lastLines)], ['cannot reach [REDACTED]'])
  })

  test('watch: traffic goes back to a version that ignores SIGTERM while that is being stopped', async (t) => {
    await using app = await serving(installation, 'hardy', scripted(STUBBORN, 'old'))
    const next = await app.next(scripted(FRAGILE, 'new'))
    assert.equal(next.end, 'RUNNING', next.log)
    await returnsFrom(`hardy-${next.id}`, next.id, t)
    await until(async () => (await page('hardy')) === 'old')
    await using seen = visit(installation.routerPort, 'hardy.localhost')
    await sleep(STOP_GRACE_MS + 1_000)
    assert.deepEqual(seen.failures, [])
    assert.deepEqual([...seen.pages], ['old'])
    assert.equal(await statusOf(installation, app.first), 'RUNNING')
  })

  test('after the watch: what ends is started again, and stays the version that serves', async () => {
    await using app = await serving(installation, 'lasting', webApp('old'))
    const next = await app.next(webApp('new'))
    assert.equal(next.end, 'RUNNING', next.log)
    await until(() => isOver(installation, next.id))
    crash(`lasting-${next.id}`)
    await until(async () => (await restartsOf(`lasting-${next.id}`)) === 1)
    await until(async () => (await page('lasting')) === 'new')
    assert.deepEqual(
      [await statusOf(installation, app.first), await statusOf(installation, next.id)],
      ['RETIRED', 'RUNNING'],
    )
  })

  test('watch: the worker is killed, the new version ends, and the next worker sends traffic back', async () => {
    await using installation = await Installation.create()
    const env = { ...ENV, WATCH_SECONDS: '60' }
    const worker = await installation.start(env)
    await using app = await serving(installation, 'orphaned', webApp('old'))
    const next = await app.next(scripted(FRAGILE, 'new'))
    assert.equal(next.end, 'RUNNING', next.log)
    await worker.kill()
    breakForGood(`orphaned-${next.id}`)
    await installation.start(env)
    await until(async () => (await statusOf(installation, next.id)) === 'ROLLED_BACK')
    await until(async () => (await installation.fetch('orphaned.localhost')).body === 'old')
    assert.equal(await statusOf(installation, app.first), 'RUNNING')
  })
})
