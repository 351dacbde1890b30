import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readConfig } from '../../src/config.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { returnTraffic } from '../../src/engine/serving/return-traffic.js'
import { NoRouter } from '../../src/engine/routing/router.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { serveAgain } from '../../src/engine/serving/serve-again.js'
import type { Tools } from '../../src/engine/steps/context.js'
import { retire } from '../../src/engine/steps/retire.js'
import { createLogger } from '../../src/logger.js'
import { Watcher } from '../../src/engine/serving/watch.js'
import { webApp } from '../support/repository.js'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'

/** No worker is up: an app's second version serves and is watched, the one before it runs and waits for its drain. */
interface Replacement {
  readonly before: string
  readonly failed: string
  readonly tools: Tools
  /** Tries to send traffic back to the version before. */
  readonly back: () => Promise<boolean>
  readonly isBack: () => Promise<void>
}

async function replaced(scene: Scene, more = ''): Promise<Replacement> {
  const worker = await scene.workerHere()
  const { app, deploymentId: before } = await scene.serving('steady')
  await worker[Symbol.asyncDispose]()
  const { Dockerfile = '', ...page } = webApp('second')
  scene.repository.commit({ ...page, Dockerfile: `${Dockerfile}${more}\n` })
  const dying = await scene.worker({ FAILPOINT: 'before:drain', WATCH_SECONDS: '600' })
  const failed = await scene.deploy(app)
  await until(10_000, () => dying.child.signalCode === 'SIGKILL')
  const tools = await toolsOf(scene)
  const failure = { why: 'it failed', container: `steady-${failed}`, exitCode: null }
  const back = () => returnTraffic(failed, failure, partsOf(scene, tools), new AbortController().signal)
  return {
    ...{ before, failed, tools, back },
    isBack: async () => {
      await until(20_000, async () => {
        await back()
        return (await scene.deployment(failed)).status === 'ROLLED_BACK'
      })
      assert.equal((await scene.deployment(before)).status, 'RUNNING')
      assert.equal(await scene.askContainer(app), 'first')
    },
  }
}

function partsOf({ own: { database } }: Scene, tools: Tools) {
  return { database, tools, secrets: new SecretBox(randomBytes(32)), logger: createLogger('error') }
}

async function toolsOf(scene: Scene): Promise<Tools> {
  const { docker, installation, own } = scene
  const config = readConfig({ DOCKER_HOST: docker.host, DATA_DIR: installation.dataDir })
  const [instance] = await scene.rows<{ id: string }>('SELECT id FROM instance')
  return {
    ...{ database: own.database, wakeups: own.wakeups, router: new NoRouter() },
    git: createGitBinary({ ...config, timeoutMs: config.cloneTimeoutMs }),
    docker: new Dockerode({ ...config, warn: () => undefined }),
    reach: () => undefined,
    settings: { ...config, instanceId: instance?.id ?? '' },
  }
}

test('traffic does not go back to a version that is about to be stopped before it is', async () => {
  await using scene = await Scene.open()
  const { before, tools, back, isBack } = await replaced(scene)
  // Between the database's word that it may be stopped, and the stop.
  const looks = scene.docker.hold(/^\/containers\/json/)
  const retiring = retire({ deploymentId: before }, tools)
  await looks.until()
  await back()
  looks.release()
  await retiring
  await isBack()
})

test('a version that is made to run again for a return of traffic is not stopped meanwhile', async () => {
  await using scene = await Scene.open()
  const { before, tools, back, isBack } = await replaced(scene)
  await retire({ deploymentId: before }, tools)
  const starts = scene.docker.hold(/^\/containers\/[^/]+\/start/)
  const returning = back()
  await starts.until()
  await retire({ deploymentId: before }, tools)
  starts.release()
  assert.equal(await returning, true)
  await isBack()
})

/** No worker is up: an app's stage was stopped, and what it served runs and waits for the end of its drain. */
async function stopped(scene: Scene) {
  const worker = await scene.workerHere()
  const { app, deploymentId } = await scene.serving('steady')
  await worker[Symbol.asyncDispose]()
  const { stages } = scene.own.commands
  await stages.stop(app.stageId)
  const tools = await toolsOf(scene)
  const parts = partsOf(scene, tools)
  const serve = () => serveAgain(deploymentId, parts, new AbortController().signal)
  return {
    ...{ deploymentId, tools, serve },
    start: () => stages.start(app.stageId),
    servesAgain: async () => {
      await serve()
      assert.equal((await scene.deployment(deploymentId)).status, 'RUNNING')
      assert.equal(await scene.askContainer(app), 'first')
    },
  }
}

test('a stage that is started while what it served is being stopped serves when that has ended', async () => {
  await using scene = await Scene.open()
  const { deploymentId, tools, start, serve, servesAgain } = await stopped(scene)
  const looks = scene.docker.hold(/^\/containers\/json/)
  const retiring = retire({ deploymentId }, tools)
  await looks.until()
  await start()
  await serve()
  assert.equal((await scene.deployment(deploymentId)).status, 'RETIRED', 'it is left to be stopped')
  looks.release()
  await retiring
  await servesAgain()
})

test('what a stage served is not stopped when the stage was started again', async () => {
  await using scene = await Scene.open()
  const { deploymentId, tools, start, servesAgain } = await stopped(scene)
  await start()
  await retire({ deploymentId }, tools)
  await servesAgain()
})

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
  await scene.reaches(failed, 'ROLLED_BACK', 20_000) // what the dead worker had reserved is free by then
  await scene.reaches(before, 'RUNNING')
})

test('the watch of one that is well ends, but not without a look, also when Docker is away', async () => {
  await using scene = await Scene.open()
  const { failed, container } = await unwatched(scene)
  const isOver = async () => (await scene.deployment(failed)).watch_until === null
  const inspects = new RegExp(`^/containers/${container}/json`)
  const away = scene.docker.fault({ path: inspects, kind: 'error500', times: 1_000 })
  await using _worker = await scene.workerHere({ WATCH_SECONDS: '1' })
  await until(10_000, () => away.hits > 1)
  assert.equal(await isOver(), false)
  away.clear()
  await until(10_000, isOver)
  assert.equal((await scene.deployment(failed)).status, 'RUNNING')
})

test('a version whose HEALTHCHECK begins anew is left to it', async () => {
  await using scene = await Scene.open()
  const { failed } = await replaced(scene, 'HEALTHCHECK CMD true')
  const looks = lookedAt(scene, failed)
  await using _worker = await scene.workerHere({ WATCH_SECONDS: '600' })
  scene.docker.setHealth(`steady-${failed}`, 'starting')
  const before = looks()
  await until(10_000, () => looks() > before + 3)
  assert.equal((await scene.deployment(failed)).status, 'RUNNING')
  scene.docker.setHealth(`steady-${failed}`, 'unhealthy')
  await scene.reaches(failed, 'ROLLED_BACK')
})

test('one that the router does not follow to, with none before it, is said once and looked at less', async () => {
  await using scene = await Scene.open()
  const worker = await scene.workerHere()
  const { deploymentId } = await scene.serving('steady')
  await worker[Symbol.asyncDispose]()
  await scene.sql.query('UPDATE deployment SET watch_until = now() WHERE id = $1', [deploymentId])
  const tools = await toolsOf(scene)
  const told: string[] = []
  const apply = () => Promise.resolve(void told.push('router'))
  const router = Object.assign(new NoRouter(), { apply, confirms: () => Promise.resolve(false) })
  const warn = (message: string) => void told.push(message)
  const stubborn = { ...tools, router, settings: { ...tools.settings, confirmMs: 0 } }
  const { database, secrets, logger } = partsOf(scene, tools)
  await using watcher = new Watcher(database, stubborn, secrets, { ...logger, warn }, 20)
  watcher.start()
  await until(5_000, () => told.length > 0)
  await sleep(1_000)
  assert.deepEqual(told, ['router', 'a new version fails'])
})

test('a version that ends in the last second of its watch is rolled back', async () => {
  await using scene = await Scene.open()
  const { failed } = await replaced(scene)
  const looks = lookedAt(scene, failed)
  const before = looks()
  await using _worker = await scene.workerHere({ WATCH_SECONDS: '600' })
  await until(10_000, () => looks() > before, 5) // the next one is a second away
  await scene.docker.crash(`steady-${failed}`, 3)
  await scene.sql.query('UPDATE deployment SET watch_until = now() WHERE id = $1', [failed])
  await scene.reaches(failed, 'ROLLED_BACK')
})

test('a stage that does not come up leaves nobody out', async () => {
  await using scene = await Scene.open()
  const { deploymentId, tools, start, serve, servesAgain } = await stopped(scene)
  await retire({ deploymentId }, tools)
  await start()
  scene.docker.fault({ path: /\/start/, kind: 'error500' })
  await assert.rejects(serve())
  await servesAgain()
})

test('traffic does not go back to the same image: a restart that ends again and again goes on serving', async () => {
  await using scene = await Scene.open()
  const worker = await scene.worker({ WATCH_SECONDS: '600' })
  const { app, deploymentId: before } = await scene.serving('steady')
  await scene.own.commands.stages.restart(app.stageId)
  await scene.reaches(before, 'RETIRED')
  const sql = `SELECT id, image_id, replaced_id FROM deployment WHERE status = 'RUNNING'`
  const [restarted] = await scene.rows<{ id: string; image_id: string; replaced_id: string }>(sql)
  assert.ok(restarted)
  assert.equal(restarted.replaced_id, before, 'there is a version to go back to')
  assert.equal(restarted.image_id, (await scene.deployment(before)).image_id)
  // It could be woken: nobody is at it any more.
  await until(10_000, async () => (await scene.deployment(before)).addresses === null)
  await scene.docker.crash(`steady-${restarted.id}`)
  await until(10_000, () => /a new version fails/.test(worker.output))
  await sleep(3_000) // a return of traffic takes less
  assert.deepEqual((await scene.events(restarted.id)).slice(-1), ['RUNNING'])
  assert.deepEqual((await scene.events(before)).slice(-1), ['RETIRED'])
  assert.equal(await scene.askContainer(app), 'first')
})
