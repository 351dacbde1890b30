import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApp, deploy, followLog, graphql, tryGraphql } from '../support/client.js'
import { hold, underWay } from '../support/hold.js'
import { lawsHold } from '../support/laws.js'
import type { CutOptions } from '../support/postgres-proxy.js'
import { webApp } from '../support/repository.js'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'

const CREATE = 'mutation ($input: CreateAppInput!) { createApp(input: $input) { id } }'
const SAYS_ONCE = 'Built mvp-'

function count(text: string, what: string): number {
  return text.split(what).length - 1
}

describe('a database that', () => {
  test('ends all sessions in the middle of builds: the same attempt goes on', async () => {
    await using scene = await Scene.open()
    const worker = await scene.worker({ LEASE_SECONDS: '5' })
    const builds = scene.docker.hold(/^\/build\?/)
    const ids = [await scene.deploy(await scene.app('one')), await scene.deploy(await scene.app('two'))]
    await builds.until(2)
    const ended = await scene.rows(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'longshore%'`)
    assert.ok(ended.length >= 3)
    await until(() => worker.output.includes('wake-up connection is back'))
    builds.release()
    for (const id of ids) await scene.reaches(id, 'RUNNING')
    for (const id of ids) {
      assert.equal((await scene.deployment(id)).attempt, 1)
      assert.equal(count(await scene.log(id), SAYS_ONCE), 1)
    }
    await lawsHold(scene)
    assert.equal(worker.child.exitCode, null, worker.output)
  })

  test('breaks all connections again and again: each deployment ends once', async () => {
    await using scene = await Scene.open()
    const worker = await scene.worker({ ENGINE_CONCURRENCY: '4', LEASE_SECONDS: '3' })
    const ids: string[] = []
    for (const name of ['one', 'two', 'three', 'four', 'five', 'six']) {
      ids.push(await scene.deploy(await scene.app(name)))
      scene.proxy.cutAll()
      await sleep(150)
    }
    for (const id of ids) await hurried(scene, id)
    // A switch may be among them that was not heard of: the rest is left to the next round, another worker's first.
    await scene.worker({ ROUTER: 'off' })
    await lawsHold(scene)
    assert.equal(worker.child.exitCode, null, worker.output)
  })

  test('does not answer: who cannot renew its lease gives up before it ends, and begins again', async () => {
    await using scene = await Scene.open()
    const { worker, held, id } = await underWay(scene, 'build', { LEASE_SECONDS: '9' })
    const aborted = scene.docker.builds.aborted
    scene.proxy.pause()
    const pausedAt = performance.now()
    await until(() => scene.docker.builds.aborted > aborted, 5)
    const milliseconds = performance.now() - pausedAt
    assert.ok(milliseconds > 4_000 && milliseconds < 9_000, `given up after ${milliseconds} ms`)
    await until(() => leaseIsOver(scene, id))
    assert.equal((await scene.deployment(id)).attempt, 1, 'nobody else is there to take it over')
    scene.proxy.resume()
    held.release()
    await scene.reaches(id, 'RUNNING')
    assert.equal((await scene.deployment(id)).attempt, 2)
    await lawsHold(scene)
    assert.equal(worker.child.exitCode, null, worker.output)
  })
})

/** 10 s of silence and 8 s of asking, twice over for a busy machine. */
const NOTICED_MS = 40_000

test('a database that vanishes fails commands within 18 s, and the loop goes on when it is back', async () => {
  await using scene = await Scene.open()
  const api = await scene.worker({ ROLES: 'api' })
  const worker = await scene.worker()
  const { app } = await scene.serving('steady')
  const { port } = scene.installation
  await createApp(port, { name: 'before', repoUrl: scene.repository.url, deploy: false })
  scene.proxy.pause()

  const askedAt = performance.now()
  const [created, read] = await Promise.all([
    tryGraphql(port, CREATE, { input: { name: 'meanwhile', repoUrl: scene.repository.url } }),
    tryGraphql(port, '{ apps { nodes { id } } }'),
  ])
  const tookMs = performance.now() - askedAt
  for (const { errors } of [created, read])
    assert.match(errors?.[0]?.message ?? '', /^the database does not answer/)
  assert.ok(tookMs < NOTICED_MS, `${tookMs} ms`)
  await until(() => /could not read the queue; retrying.*(does not answer|imeout)/.test(worker.output))
  assert.equal((await scene.ask(app)).body, 'first', 'what serves goes on')

  // Asked for past the proxy: nobody can have heard of it.
  scene.repository.commit(webApp('second'))
  const id = await scene.deploy(app)
  scene.proxy.resume()
  await scene.reaches(id, 'RUNNING')
  assert.equal((await scene.deployment(id)).attempt, 1)
  await until(async () => (await scene.ask(app)).body === 'second')
  const named = await scene.rows<{ name: string }>(`SELECT name FROM app WHERE name = 'meanwhile'`)
  assert.ok(named.length <= 1)
  await lawsHold(scene)
  for (const { child, output } of [api, worker]) assert.equal(child.exitCode, null, output)
})

interface LostAnswer extends CutOptions {
  readonly attempts: number
  /** Default: at each attempt. */
  readonly fetches?: number
}

const FROM_CLAIM_TO_SWITCH: Readonly<Record<string, LostAnswer>> = {
  'the claim': {
    statement: /last_claim_at = clock_timestamp/,
    answer: /UPDATE 1\0/,
    attempts: 2,
    fetches: 1,
  },
  'a line of the log': { statement: /UPDATE log_stream\s+SET last_seq = last_seq \+ \$3/, attempts: 1 },
  'a change of status': { statement: /WITH old AS \(\s*SELECT id, status FROM deployment/, attempts: 2 },
  'the switch': { statement: /\bCOMMIT\b/, after: /route_epoch = route_epoch \+ 1/, attempts: 1 },
}

describe('an answer that is lost after the commit of', () => {
  for (const [what, { attempts, fetches = attempts, ...cut }] of Object.entries(FROM_CLAIM_TO_SWITCH)) {
    test(`${what}: the deployment ends once, and no line is doubled`, async () => {
      await using scene = await Scene.open()
      await scene.worker({ LEASE_SECONDS: '3' })
      const { app } = await scene.serving('steady')
      scene.repository.commit(webApp('second'))
      const lost = scene.proxy.cutAfter(cut)
      const id = await scene.deploy(app)
      await until(() => lost.hits === 1)
      await hurried(scene, id)
      // After a switch that was not heard of the rest is left to the next round: another worker's first.
      if (cut.after) await scene.worker({ ROUTER: 'off' })
      await lawsHold(scene)
      const { status, attempt } = await scene.deployment(id)
      assert.deepEqual({ status, attempt }, { status: 'RUNNING', attempt: attempts })
      await until(async () => (await scene.ask(app)).body === 'second')
      assert.equal(count(await scene.log(id), 'Fetching '), fetches)
      assert.equal(count(await scene.log(id), 'Running at'), 1)
      assert.equal((await scene.events(id)).filter((event) => event === 'RUNNING').length, 1)
    })
  }

  test('a failure: it is told once', async () => {
    await using scene = await Scene.open()
    await scene.worker()
    const app = await scene.app('failing')
    scene.repository.commit(webApp('never', ['false']))
    const lost = scene.proxy.cutAfter({ statement: /\bCOMMIT\b/, after: /error_code/ })
    const id = await scene.deploy(app)
    await scene.reaches(id, 'FAILED')
    await until(() => lost.hits === 1)
    await sleep(1_500) // it is tried again, and finds its claim gone
    await lawsHold(scene)
    assert.equal(count(await scene.log(id), 'Failed: '), 1)
    assert.equal((await scene.deployment(id)).error_code, 'BUILD_FAILED')
  })
})

describe('without any notification', () => {
  test('deployments start, logs arrive and a cancel is seen by polling', async () => {
    await using scene = await Scene.open()
    scene.proxy.deafen()
    const { port } = scene.installation
    await scene.worker({ ROLES: 'api' })
    await scene.worker({ LEASE_SECONDS: '30' })
    const { appId, deploymentId } = await createApp(port, { name: 'deaf', repoUrl: scene.repository.url })
    const log = await followLog(port, deploymentId)
    assert.equal(log.at(-1)?.end?.status, 'RUNNING')
    const held = await hold(scene, 'build')
    scene.repository.commit({ 'www/index.html': 'built anew' })
    const second = await deploy(port, appId)
    await held.reached(second)
    await graphql(port, 'mutation ($id: ID!) { cancelDeployment(id: $id) { id } }', { id: second })
    await scene.reaches(second, 'CANCELLED')
    held.release()
    await lawsHold(scene)
  })

  test('a half-open connection is noticed, and polling carries on meanwhile', async () => {
    await using scene = await Scene.open()
    const worker = await scene.worker({ LEASE_SECONDS: '30' })
    const app = await scene.app('half-open')
    assert.equal(scene.proxy.freeze(/^longshore-wakeups$/), 1)
    const id = await scene.deploy(app)
    await scene.reaches(id, 'RUNNING')
    await until(() => worker.output.includes('wake-up connection is back'))
    await lawsHold(scene)
  })
})

async function leaseIsOver(scene: Scene, id: string): Promise<boolean> {
  const sql = 'SELECT lease_until < now() AS over FROM deployment WHERE id = $1'
  return (await scene.rows<{ over: boolean }>(sql, [id]))[0]?.over === true
}

/** Waits for RUNNING, and for no pause between two attempts. */
async function hurried(scene: Scene, id: string): Promise<void> {
  await until(async () => {
    await scene.sql.query(`UPDATE deployment SET next_run_at = now() WHERE id = $1 AND status = 'PENDING'`, [
      id,
    ])
    return (await scene.deployment(id)).status === 'RUNNING'
  })
}
