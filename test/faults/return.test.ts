import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { readConfig } from '../../src/config.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { returnTraffic } from '../../src/engine/return-traffic.js'
import { NoRouter } from '../../src/engine/routing/router.js'
import { SecretBox } from '../../src/engine/secrets.js'
import { serveAgain } from '../../src/engine/serve-again.js'
import type { Tools } from '../../src/engine/steps/context.js'
import { retire } from '../../src/engine/steps/retire.js'
import { createLogger } from '../../src/logger.js'
import { webApp } from '../support/repository.js'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'

/** No worker is up: an app's second version serves and is watched, the one before it runs and waits for its drain. */
interface Replacement {
  readonly before: string
  readonly tools: Tools
  /** Tries to send traffic back to the version before. */
  readonly back: () => Promise<boolean>
  readonly isBack: () => Promise<void>
}

async function replaced(scene: Scene): Promise<Replacement> {
  const worker = await scene.workerHere()
  const { app, deploymentId: before } = await scene.serving('steady')
  await worker[Symbol.asyncDispose]()
  scene.repository.commit(webApp('second'))
  const dying = await scene.worker({ FAILPOINT: 'before:drain', WATCH_SECONDS: '600' })
  const failed = await scene.deploy(app)
  await until(10_000, () => dying.child.signalCode === 'SIGKILL')
  const tools = await toolsOf(scene)
  const failure = { why: 'it failed', container: `steady-${failed}`, exitCode: null }
  const back = () => returnTraffic(failed, failure, partsOf(scene, tools), new AbortController().signal)
  return {
    ...{ before, tools, back },
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
  await scene.docker.crash(`steady-${restarted.id}`)
  // What the watcher does about it has ended when it looks again.
  await until(10_000, () => worker.output.match(/a new version fails/g)?.[1])
  assert.deepEqual((await scene.events(restarted.id)).slice(-1), ['RUNNING'])
  assert.deepEqual((await scene.events(before)).slice(-1), ['RETIRED'])
  assert.equal(await scene.askContainer(app), 'first')
})
