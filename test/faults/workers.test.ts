import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { rescueExpired } from '../../src/engine/queue/rescue.js'
import { hold, HELD_AT, underWay } from '../support/hold.js'
import { lawsHold } from '../support/laws.js'
import { webApp } from '../support/repository.js'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'

const APPS = 20
const DEPLOYMENTS = 120

describe('a worker that is asked to stop', () => {
  test('hands over what is held in each phase; the attempt does not count, and the next worker ends it', async () => {
    await using scene = await Scene.open()
    await scene.worker()
    const { app } = await scene.serving('steady')
    for (const place of HELD_AT) {
      const held = await hold(scene, place)
      scene.repository.commit(webApp(place))
      const id = await scene.deploy(app)
      await held.reached(id)
      const worker = scene.installation.processes.at(-1)
      assert.ok(worker)
      const milliseconds = await worker.stop('SIGTERM')
      assert.equal(worker.child.exitCode, 0, worker.output)
      assert.ok(milliseconds < 10_000, `${place}: it took ${milliseconds} ms`)
      const { status, attempt } = await scene.deployment(id)
      assert.deepEqual({ place, status, attempt }, { place, status: 'PENDING', attempt: 0 })
      assert.match(await scene.log(id), /Back in the queue: this worker is stopping/)
      held.release()
      await scene.worker()
      await scene.reaches(id, 'RUNNING')
      assert.equal((await scene.deployment(id)).attempt, 1)
      await lawsHold(scene)
      assert.equal((await scene.ask(app)).body, place)
    }
  })

  test('ends what ends within the grace, and takes nothing new', async () => {
    await using scene = await Scene.open()
    const env = { STOP_GRACE_SECONDS: '60', ENGINE_CONCURRENCY: '2' }
    const { worker, held, app, id } = await underWay(scene, 'build', env)
    const ended = once(worker.child, 'exit')
    worker.child.kill('SIGTERM')
    await until(() => worker.output.includes('send the signal again'))
    const later = await scene.deploy(await scene.app('later'))
    await sleep(1_500) // past a poll
    held.release()
    assert.deepEqual(await ended, [0, null])
    assert.equal((await scene.deployment(id)).status, 'RUNNING')
    assert.equal(await scene.askContainer(app), 'first')
    const { status, attempt, epoch } = await scene.deployment(later)
    assert.deepEqual({ status, attempt, epoch }, { status: 'PENDING', attempt: 0, epoch: 0 })
    await scene.worker()
    await scene.reaches(later, 'RUNNING')
    await lawsHold(scene)
  })

  test('while it cleans up: it does not wait for an engine that takes long', async () => {
    await using scene = await Scene.open()
    const prune = scene.docker.hold(/^\/build\/prune/)
    const worker = await scene.worker()
    await prune.until()
    const milliseconds = await worker.stop('SIGTERM')
    assert.equal(worker.child.exitCode, 0, worker.output)
    assert.ok(milliseconds < 3_000, `it took ${milliseconds} ms`)
  })

  test('while what was cancelled cannot be ended, as the database is away: does not wait for it', async () => {
    await using scene = await Scene.open()
    const { worker, held, id } = await underWay(scene, 'start', { LEASE_SECONDS: '300' })
    const removal = scene.docker.hold(/^\/containers\/held-[^/]+\/json/)
    await scene.own.commands.deployments.cancel(id)
    await removal.until()
    await scene.proxy[Symbol.asyncDispose]()
    removal.release()
    held.release()
    const milliseconds = await worker.stop('SIGTERM')
    assert.equal(worker.child.exitCode, 0, worker.output)
    assert.ok(milliseconds < 30_000, `it took ${milliseconds} ms`)
    assert.equal((await scene.deployment(id)).status, 'STARTING')
  })

  test('twice: ends at once, and the next worker takes up what it left', async () => {
    await using scene = await Scene.open()
    const { worker, held, id } = await underWay(scene, 'build', { STOP_GRACE_SECONDS: '60' })
    worker.child.kill('SIGTERM')
    await until(() => worker.output.includes('send the signal again'))
    const ended = once(worker.child, 'exit')
    worker.child.kill('SIGTERM')
    assert.deepEqual(await ended, [1, null])
    held.release()
    await scene.passTime()
    await scene.worker()
    await scene.reaches(id, 'RUNNING')
    await lawsHold(scene)
  })
})

test(`${DEPLOYMENTS} deployments by two workers, one of which stands still past its lease: each ends once`, async () => {
  await using scene = await Scene.open()
  const still = await scene.worker({ ENGINE_CONCURRENCY: '8', LEASE_SECONDS: '3', ROUTER: 'off' })
  const apps = []
  for (let index = 0; index < APPS; index++) apps.push(await scene.app(`many-${index}`))
  const builds = scene.docker.hold(/^\/build\?/)
  const ids: string[] = []
  for (let index = 0; index < DEPLOYMENTS / 2; index++) {
    const app = apps[index % APPS]
    assert.ok(app)
    ids.push(await scene.deploy(app))
  }
  await builds.until(4)
  still.child.kill('SIGSTOP')
  const [{ left } = { left: 0 }] = await scene.rows<{ left: number }>(
    `SELECT count(*)::int AS left FROM deployment WHERE status IN ('CLONING', 'BUILDING')`,
  )
  assert.ok(left >= 4)
  const other = await scene.worker({ ENGINE_CONCURRENCY: '8', LEASE_SECONDS: '3' })
  builds.release()
  await until(() => /requeued deployments of a dead worker/.test(other.output))
  still.child.kill('SIGCONT')
  for (let index = DEPLOYMENTS / 2; index < DEPLOYMENTS; index++) {
    const app = apps[(index * 7) % APPS]
    assert.ok(app)
    ids.push(await scene.deploy(app))
    await sleep(10)
  }
  const settled = "SELECT 1 FROM deployment WHERE status NOT IN ('RUNNING', 'RETIRED', 'SUPERSEDED')"
  await until(async () => (await scene.rows(settled)).length === 0, 100)
  // What the one that stood still has built without a right to it is cleaned up with the next look at all images.
  await scene.worker({ ROUTER: 'off' })
  await lawsHold(scene)
  const rows = await scene.rows<{ status: string; count: number }>(
    'SELECT status, count(*)::int FROM deployment GROUP BY status',
  )
  const counts = new Map(rows.map(({ status, count }) => [status, count]))
  assert.equal(counts.get('RUNNING'), APPS)
  assert.equal(counts.get('FAILED') ?? 0, 0)
  assert.equal(
    [...counts.values()].reduce((sum, count) => sum + count, 0),
    DEPLOYMENTS,
  )
  assert.match(still.output, /the claim of deployment \w+ is lost/)
  assert.equal(still.child.exitCode, null)
})

test('what a worker removes late is its own, and not what the next attempt has made', async () => {
  await using scene = await Scene.open()
  await scene.worker({ LEASE_SECONDS: '10' })
  const { app } = await scene.serving('steady')
  scene.repository.commit(webApp('second'))
  scene.docker.fault({ path: /^\/containers\/create\?name=steady-/, kind: 'done-then-error' })
  const stops = scene.docker.hold(/^\/containers\/[^/]+\/stop/)
  const id = await scene.deploy(app)
  await stops.until() // of the attempt that takes back what it made
  await until(async () => {
    // Its heartbeat may come in between.
    await scene.rows(
      `UPDATE deployment SET lease_until = now() - interval '1 second' WHERE id = $1 AND epoch = 1`,
      [id],
    )
    await rescueExpired(scene.own.database, scene.own.wakeups)
    return (await scene.deployment(id)).epoch > 1
  })
  await scene.rows('UPDATE deployment SET next_run_at = now() WHERE id = $1', [id])
  await scene.reaches(id, 'RUNNING')
  const serving = scene.docker.container(`steady-${id}`)?.id
  stops.release()
  await sleep(1_000) // what it still does comes now
  await lawsHold(scene)
  assert.equal(scene.docker.container(`steady-${id}`)?.id, serving, 'it was not touched')
  const { status, attempt } = await scene.deployment(id)
  assert.deepEqual({ status, attempt }, { status: 'RUNNING', attempt: 2 })
  assert.equal((await scene.ask(app)).body, 'second')
})

test('a wall clock that is an hour off takes nothing from others and loses nothing', async () => {
  const preload = new URL('../support/wrong-clock.js', import.meta.url).href
  const off = (hours: number) => ({
    NODE_OPTIONS: `--import=${preload}`,
    CLOCK_OFFSET_MS: String(hours * 3_600_000),
    ENGINE_CONCURRENCY: '1',
    LEASE_SECONDS: '3',
  })
  await using scene = await Scene.open()
  await scene.worker({ ...off(1), ROUTER: 'off' })
  const late = await scene.worker(off(-1))
  assert.ok(late.output.includes(new Date(Date.now() - 3_600_000).toISOString().slice(0, 13)), late.output)
  const builds = scene.docker.hold(/^\/build\?/)
  const ids = [await scene.deploy(await scene.app('fast')), await scene.deploy(await scene.app('slow'))]
  await builds.until(2)
  const owners = await scene.rows('SELECT DISTINCT lease_owner FROM deployment')
  assert.equal(owners.length, 2, 'one by each worker')
  // Past the lease, and past a look of each worker for what dead ones hold.
  await sleep(6_500)
  assert.equal(builds.waiting, 2)
  builds.release()
  for (const id of ids) await scene.reaches(id, 'RUNNING')
  for (const id of ids) {
    const { attempt, epoch } = await scene.deployment(id)
    assert.deepEqual({ attempt, epoch }, { attempt: 1, epoch: 1 })
  }
  await lawsHold(scene)
})
