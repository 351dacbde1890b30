import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { resumeServing } from '../../src/engine/traffic/resume-serving.js'
import { retire } from '../../src/engine/traffic/retire.js'
import { replaced, servicesOf } from '../support/replacement.js'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'
import { SERVE } from '../support/serving.js'

test('traffic does not go back to a version that is about to be stopped before it is', async () => {
  await using scene = await Scene.open()
  const { before, services, back, isBack } = await replaced(scene)
  // Between the database's word that it may be stopped, and the stop.
  const looks = scene.docker.hold(/^\/containers\/json/)
  const retiring = retire({ deploymentId: before }, services)
  await looks.until()
  await back()
  looks.release()
  await retiring
  await isBack()
})

test('a version that is made to run again for an automatic rollback is not stopped meanwhile', async () => {
  await using scene = await Scene.open()
  const { before, services, back, isBack } = await replaced(scene)
  await retire({ deploymentId: before }, services)
  const starts = scene.docker.hold(/^\/containers\/[^/]+\/start/)
  const returning = back()
  await starts.until()
  await retire({ deploymentId: before }, services)
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
  const services = await servicesOf(scene)
  const serve = () => resumeServing(deploymentId, services, new AbortController().signal)
  return {
    ...{ deploymentId, services, serve },
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
  const { deploymentId, services, start, serve, servesAgain } = await stopped(scene)
  const looks = scene.docker.hold(/^\/containers\/json/)
  const retiring = retire({ deploymentId }, services)
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
  const { deploymentId, services, start, servesAgain } = await stopped(scene)
  await start()
  await retire({ deploymentId }, services)
  await servesAgain()
})

test('last lines that come after traffic has gone back, or at a later reading, are told all the same', async () => {
  for (const fault of [
    { kind: 'delay', ms: 3_000 },
    { kind: 'error500', times: 3 },
  ] as const) {
    await using scene = await Scene.open()
    const { failed, back } = await replaced(scene, `CMD ["/bin/busybox", "sh", "-c", "echo last; ${SERVE}"]`)
    scene.docker.fault({ path: /\/logs/, ...fault })
    assert.equal(await back(), true)
    const row = await scene.deployment(failed)
    assert.deepEqual([row.status, row.error_last_lines], ['ROLLED_BACK', ['last']], fault.kind)
  }
})

test('a stage that does not come up leaves nobody out', async () => {
  await using scene = await Scene.open()
  const { deploymentId, services, start, serve, servesAgain } = await stopped(scene)
  await retire({ deploymentId }, services)
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
  // It could be started: nobody is at it any more.
  await until(async () => (await scene.deployment(before)).addresses === null)
  await scene.docker.crash(`steady-${restarted.id}`)
  await until(() => /a new version fails/.test(worker.output))
  await sleep(3_000) // an automatic rollback takes less
  assert.deepEqual((await scene.events(restarted.id)).slice(-1), ['RUNNING'])
  assert.deepEqual((await scene.events(before)).slice(-1), ['RETIRED'])
  assert.equal(await scene.askContainer(app), 'first')
})
