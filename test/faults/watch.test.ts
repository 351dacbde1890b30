import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { NoRouter } from '../../src/engine/routing/router.js'
import { Watcher } from '../../src/engine/traffic/watch.js'
import { replaced, servicesOf } from '../support/replacement.js'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'

/** Counts the looks at a version's container. */
function lookedAt(scene: Scene, id: string): () => number {
  return () => scene.docker.calls.filter(({ path }) => path === `/containers/steady-${id}/json`).length
}

/** No worker is up: a second version serves, its watch is over, and nobody has looked at it since. */
async function unwatched(scene: Scene) {
  const { before, failed } = await replaced(scene)
  await scene.sql.query(`UPDATE deployment SET watch_until = now() - interval '1 hour' WHERE id = $1`, [
    failed,
  ])
  return { before, failed, container: `steady-${failed}` }
}

test('a version that has ended while no worker was there to watch it is rolled back', async () => {
  await using scene = await Scene.open()
  const { before, failed, container } = await unwatched(scene)
  await scene.docker.crash(container, 3)
  await using _worker = await scene.workerHere({ WATCH_SECONDS: '1' })
  await scene.reaches(failed, 'ROLLED_BACK') // what the dead worker had reserved is free by then
  await scene.reaches(before, 'RUNNING')
})

test('the watch of one that is well ends, but not without a look, also when Docker is away', async () => {
  await using scene = await Scene.open()
  const { failed, container } = await unwatched(scene)
  const isOver = async () => (await scene.deployment(failed)).watch_until === null
  const inspects = new RegExp(`^/containers/${container}/json`)
  const away = scene.docker.fault({ path: inspects, kind: 'error500', times: 1_000 })
  await using _worker = await scene.workerHere({ WATCH_SECONDS: '1' })
  await until(() => away.hits > 1)
  assert.equal(await isOver(), false)
  away.clear()
  await until(isOver)
  assert.equal((await scene.deployment(failed)).status, 'RUNNING')
})

test('a version whose HEALTHCHECK begins anew is left to it', async () => {
  await using scene = await Scene.open()
  const { failed } = await replaced(scene, 'HEALTHCHECK CMD true')
  const looks = lookedAt(scene, failed)
  await using _worker = await scene.workerHere({ WATCH_SECONDS: '600' })
  scene.docker.setHealth(`steady-${failed}`, 'starting')
  const before = looks()
  await until(() => looks() > before + 3)
  assert.equal((await scene.deployment(failed)).status, 'RUNNING')
  scene.docker.setHealth(`steady-${failed}`, 'unhealthy')
  await scene.reaches(failed, 'ROLLED_BACK')
})

test('a version that ends in the last second of its watch is rolled back', async () => {
  await using scene = await Scene.open()
  const { failed } = await replaced(scene)
  const looks = lookedAt(scene, failed)
  const before = looks()
  await using _worker = await scene.workerHere({ WATCH_SECONDS: '600' })
  await until(() => looks() > before, 5) // the next one is a second away
  await scene.docker.crash(`steady-${failed}`, 3)
  await scene.sql.query('UPDATE deployment SET watch_until = now() WHERE id = $1', [failed])
  await scene.reaches(failed, 'ROLLED_BACK')
})

test('one that the router does not follow to, with none before it, is said once and looked at less', async () => {
  await using scene = await Scene.open()
  const worker = await scene.workerHere()
  const { deploymentId } = await scene.serving('steady')
  await worker[Symbol.asyncDispose]()
  await scene.sql.query('UPDATE deployment SET watch_until = now() WHERE id = $1', [deploymentId])
  const services = await servicesOf(scene)
  const told: string[] = []
  const apply = () => Promise.resolve(void told.push('router'))
  const router = Object.assign(new NoRouter(), { apply, isRoutedTo: () => Promise.resolve(false) })
  const warn = (message: string) => void told.push(message)
  const logger = { ...services.logger, warn }
  const stubborn = { ...services, router, logger, settings: { ...services.settings, confirmMs: 0 } }
  await using watcher = new Watcher(stubborn, 20)
  watcher.start()
  await until(() => told.length > 0)
  await sleep(1_000)
  assert.deepEqual(told, ['router', 'a new version fails'])
})
