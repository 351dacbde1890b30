import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clearStaleAddresses } from '../../src/engine/traffic/stale-addresses.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { readConfig } from '../../src/config.js'
import { createLogger } from '../../src/logger.js'
import { lawsHold } from '../support/laws.js'
import { type AppUnderTest, Scene } from '../support/scene.js'
import { until } from '../support/server.js'

/** What an engine is asked for before a container that serves is made to run. */
const COMES_BACK = /^\/images\//

interface Two {
  readonly apps: readonly [AppUnderTest, AppUnderTest]
  /** Ids of what serves them. */
  readonly ids: readonly [string, string]
}

/** Two apps that serve their names. */
async function serveTwo(scene: Scene): Promise<Two> {
  const one = await scene.serving('one', 'one')
  const two = await scene.serving('two', 'two')
  return { apps: [one.app, two.app], ids: [one.deploymentId, two.deploymentId] }
}

async function statuses(scene: Scene, { apps }: Two): Promise<number[]> {
  return Promise.all(apps.map(async (app) => (await scene.ask(app)).status))
}

async function areBack(scene: Scene, { apps }: Two): Promise<void> {
  for (const app of apps) await until(async () => (await scene.ask(app)).body === app.name)
  await lawsHold(scene)
}

test('after a restart of the machine no request gets to another app’s container', async () => {
  await using scene = await Scene.open()
  const before = await scene.workerHere()
  const two = await serveTwo(scene)
  await before[Symbol.asyncDispose]()
  await scene.docker.reboot()
  assert.equal(await scene.askContainer(two.apps[0]), 'two', 'the addresses have been handed out anew')
  const comesBack = scene.docker.hold(COMES_BACK)
  await using _worker = await scene.workerHere()
  assert.deepEqual(await statuses(scene, two), [503, 503])
  comesBack.release()
  await areBack(scene, two)
})

test('after a restart of the engine under a worker neither, once the engine says what runs', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere()
  const two = await serveTwo(scene)
  const comesBack = scene.docker.hold(COMES_BACK)
  await scene.docker.reboot()
  await until(async () => (await statuses(scene, two)).every((status) => status === 503))
  comesBack.release()
  await areBack(scene, two)
})

test('an engine that does not answer does not keep a worker from starting', async () => {
  await using scene = await Scene.open()
  const before = await scene.workerHere()
  const two = await serveTwo(scene)
  await before[Symbol.asyncDispose]()
  scene.docker.hang()
  const worker = await scene.worker({ DOCKER_TIMEOUT: '60' })
  assert.match(worker.output, /could not check which addresses are stale/)
  assert.deepEqual(await statuses(scene, two), [200, 200], 'by what is stored')
  await scene.docker.down()
  await scene.docker.up()
  await areBack(scene, two)
})

test('while an app waits for its restart nobody who gets its address gets its visitors', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere()
  const one = await scene.serving('one', 'one')
  const [address] = (await scene.deployment(one.deploymentId)).addresses ?? []
  scene.docker.restartDelayMs = 60_000
  await scene.docker.crash(`one-${one.deploymentId}`)
  await until(async () => (await scene.ask(one.app)).status === 503)
  const two = await scene.serving('two', 'two')
  assert.deepEqual((await scene.deployment(two.deploymentId)).addresses, [address], 'it is another’s now')
  assert.equal((await scene.ask(one.app)).status, 503)
  await scene.docker.remove(`one-${one.deploymentId}`) // so that it is made again and not waited for
  await areBack(scene, { apps: [one.app, two.app], ids: [one.deploymentId, two.deploymentId] })
})

test('of several replicas those serve that run, at new addresses too', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere()
  const app = await scene.app('many')
  await scene.sql.query('UPDATE stage SET replicas = 2 WHERE id = $1', [app.stageId])
  const id = await scene.deploy(app)
  await scene.reaches(id, 'RUNNING')
  scene.docker.restartDelayMs = 60_000
  await scene.docker.crash(`many-${id}-2`)
  await until(async () => (await scene.deployment(id)).addresses?.length === 1)
  await scene.docker.remove(`many-${id}`)
  await until(() => scene.docker.container(`many-${id}`)?.status === 'running')
  await until(async () => (await scene.ask(app)).status === 200)
})

/** No worker is up. */
async function alone(scene: Scene) {
  const worker = await scene.workerHere()
  const two = await serveTwo(scene)
  await worker[Symbol.asyncDispose]()
  const [instance] = await scene.rows<{ id: string }>('SELECT id FROM instance')
  const { database, wakeups } = scene.own
  const docker = new Dockerode({
    ...readConfig({ DATA_DIR: scene.installation.dataDir }),
    dockerHost: scene.docker.host,
    onUnlimited: () => undefined,
  })
  const dependencies = { database, wakeups, docker, logger: createLogger('error') }
  const addressesOf = async (id: string) => (await scene.deployment(id)).addresses
  return { ids: two.ids, addressesOf, forget: () => clearStaleAddresses(dependencies, instance?.id ?? '') }
}

test('what belongs to a version is kept, and so is what another worker has written meanwhile', async () => {
  await using scene = await Scene.open()
  const { ids, addressesOf, forget } = await alone(scene)
  const stored = await addressesOf(ids[0])
  await forget()
  assert.deepEqual(await addressesOf(ids[0]), stored)

  await scene.docker.reboot()
  const lists = scene.docker.hold(/^\/containers\/json/)
  const forgetting = forget()
  await lists.until()
  const theirs = [scene.docker.container(`one-${ids[0]}`)?.endpoints[0]?.address]
  await scene.sql.query('UPDATE deployment SET addresses = $2 WHERE id = $1', [ids[0], theirs])
  lists.release()
  await forgetting
  assert.deepEqual(await addressesOf(ids[0]), theirs)
  assert.equal(await addressesOf(ids[1]), null)
})

test('of several replicas those stay that are where they were', async () => {
  await using scene = await Scene.open()
  const { ids, addressesOf, forget } = await alone(scene)
  const [own] = (await addressesOf(ids[0])) ?? []
  const moved = [own, '127.0.0.99']
  await scene.sql.query('UPDATE deployment SET addresses = $2 WHERE id = $1', [ids[0], moved])
  await forget()
  assert.deepEqual(await addressesOf(ids[0]), [own])
})

test('a drain is over with the containers that were drained; what is under way is its worker’s', async () => {
  await using scene = await Scene.open()
  const { ids, addressesOf, forget } = await alone(scene)
  await scene.docker.reboot()
  const drains = `UPDATE deployment SET status = 'RETIRED', drain_until = now() + interval '1 hour' WHERE id = $1`
  await scene.sql.query(drains, [ids[0]])
  await scene.sql.query(`UPDATE deployment SET status = 'ROUTING' WHERE id = $1`, [ids[1]])
  const under = await addressesOf(ids[1])
  await forget()
  const drained = await scene.deployment(ids[0])
  assert.deepEqual([drained.addresses, drained.drain_until], [null, null])
  assert.deepEqual(await addressesOf(ids[1]), under)
})
