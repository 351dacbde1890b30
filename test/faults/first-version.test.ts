import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandError } from '../../src/engine/command-error.js'
import { lawsHold } from '../support/laws.js'
import { webApp } from '../support/repository.js'
import { type AppUnderTest, Scene } from '../support/scene.js'
import { fetchHost, until } from '../support/server.js'

const WATCHED = { WATCH_SECONDS: '600' }

/** It ended as its container did, its containers are gone, and its hosts say so. */
async function hasFailed(scene: Scene, app: AppUnderTest, id: string, code = 3): Promise<void> {
  await scene.reaches(id, 'FAILED')
  const row = await scene.deployment(id)
  assert.equal(row.error_code, 'EXITED')
  assert.equal(row.error_exit_code, code)
  assert.deepEqual(row.error_last_lines?.slice(-1), ['no module named app'])
  assert.match(row.error_message ?? '', /no version served before it/)
  await lawsHold(scene) // nothing runs for it any more
  for (const host of [`${app.name}.localhost`, `${app.name}-${id}.localhost`]) {
    const page = async () => fetchHost(scene.installation.routerPort, host)
    await until(async () => /The app has failed/.test((await page()).body))
    assert.equal((await page()).status, 503)
  }
}

async function crash(scene: Scene, container: string): Promise<void> {
  scene.docker.write(container, 'no module named app\n', 2)
  await scene.docker.crash(container, 3)
}

test('a first version that ends while it is watched has FAILED; what is deployed next serves', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere(WATCHED)
  const { app, deploymentId } = await scene.serving('steady')
  await crash(scene, `steady-${deploymentId}`)
  await hasFailed(scene, app, deploymentId)
  assert.deepEqual((await scene.events(deploymentId)).slice(-2), ['RUNNING', 'FAILED'])
  for (const command of ['start', 'restart'] as const) {
    const isSaid = (error: unknown) =>
      error instanceof CommandError && /its version failed/.test(error.message)
    await assert.rejects(scene.own.commands.stages[command](app.stageId), isSaid)
  }
  scene.repository.commit(webApp('mended'))
  const next = await scene.deploy(app)
  await scene.reaches(next, 'RUNNING')
  assert.equal((await scene.ask(app)).body, 'mended')
  // Nothing to go back to: what failed never comes back.
  await crash(scene, `steady-${next}`)
  await hasFailed(scene, app, next)
})

test('so has the first version after the stage was stopped, and what was started again', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere(WATCHED)
  const { app, deploymentId: before } = await scene.serving('steady')
  const { stages, releases } = scene.own.commands
  const stop = async () => {
    await stages.stop(app.stageId)
    await lawsHold(scene)
  }
  await stop()
  scene.repository.commit(webApp('second'))
  const second = await scene.deploy(app)
  await scene.reaches(second, 'RUNNING')
  await crash(scene, `steady-${second}`)
  await hasFailed(scene, app, second)
  const back = (await releases.rollback(app.id, { toDeploymentId: before })).id
  await scene.reaches(back, 'RUNNING')
  await stop()
  await stages.start(app.stageId)
  await scene.reaches(back, 'RUNNING')
  assert.equal((await scene.ask(app)).body, 'first')
  await crash(scene, `steady-${back}`)
  await hasFailed(scene, app, back)
})

test('so has one of whose replicas one ends', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere(WATCHED)
  const app = await scene.app('steady')
  await scene.rows('UPDATE stage SET replicas = 2 WHERE id = $1', [app.stageId])
  const id = await scene.deploy(app)
  await scene.reaches(id, 'RUNNING')
  await crash(scene, `steady-${id}-2`)
  await hasFailed(scene, app, id)
})

test('so has one that was found well twenty times before it ended', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere(WATCHED)
  const { app, deploymentId: id } = await scene.serving('steady')
  const looks = () => scene.docker.calls.filter(({ path }) => path === `/containers/steady-${id}/json`).length
  const before = looks()
  await until(() => looks() > before + 20)
  assert.equal((await scene.deployment(id)).status, 'RUNNING')
  await crash(scene, `steady-${id}`)
  await hasFailed(scene, app, id)
})

test('whose worker is killed while it is ended: the next one does it, once', async () => {
  for (const point of ['before:fail', 'after:fail']) {
    await using scene = await Scene.open()
    const first = await scene.workerHere(WATCHED)
    const { app, deploymentId: id } = await scene.serving('steady')
    await first[Symbol.asyncDispose]()
    await crash(scene, `steady-${id}`)
    const dying = await scene.worker({ ...WATCHED, FAILPOINT: point })
    await until(() => dying.child.signalCode === 'SIGKILL')
    await using _next = await scene.workerHere(WATCHED)
    await hasFailed(scene, app, id)
    assert.equal((await scene.events(id)).filter((status) => status === 'FAILED').length, 1, point)
  }
})

test('one whose time is over when it ends goes on: its engine starts it again', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere({ WATCH_SECONDS: '0' })
  const { app, deploymentId: id } = await scene.serving('steady')
  await until(async () => (await scene.deployment(id)).watch_until === null)
  await crash(scene, `steady-${id}`)
  await until(async () => (await scene.ask(app)).status === 200)
  assert.equal((await scene.deployment(id)).status, 'RUNNING')
})
