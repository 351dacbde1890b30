import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { hold, HELD_AT, STATUS_AT } from '../support/hold.js'
import { lawsHold } from '../support/laws.js'
import { webApp } from '../support/repository.js'
import { type AppUnderTest, Scene } from '../support/scene.js'
import { until } from '../support/server.js'

/** Longer than anything takes here: what happens sooner was announced. */
const POLL_SECONDS = 60

describe('a deployment that is held at', () => {
  let scene: Scene
  let app: AppUnderTest
  let served: string
  before(async () => {
    scene = await Scene.open()
    // What hangs must not end by itself: the command alone ends it.
    await scene.worker({ DOCKER_TIMEOUT: '600', LEASE_SECONDS: '600', POLL_SECONDS: String(POLL_SECONDS) })
    const first = await scene.serving('steady')
    app = first.app
    served = first.deploymentId
  })
  after(() => scene[Symbol.asyncDispose]())

  for (const place of HELD_AT) {
    test(`${place}: is cancelled by a notification and leaves nothing`, async () => {
      const held = await hold(scene, place)
      scene.repository.commit(webApp(`cancelled at ${place}`))
      const id = await scene.deploy(app)
      await held.reached(id)
      assert.equal((await scene.deployment(id)).status, STATUS_AT[place])
      await scene.own.commands.deployments.cancel(id)
      // The switch itself looks whether it is to be cancelled.
      if (place === 'keep-running') held.release()
      await announced(() => scene.reaches(id, 'CANCELLED'))
      // What the engine had taken before may still be carried out.
      held.release()
      await lawsHold(scene)
      assert.equal((await scene.deployment(served)).status, 'RUNNING')
      assert.equal((await scene.ask(app)).body, 'first')
    })

    test(`${place}: ends with its stage's stop, and what served comes back with its start`, async () => {
      const held = await hold(scene, place)
      scene.repository.commit(webApp(`stopped at ${place}`))
      const id = await scene.deploy(app)
      await held.reached(id)
      await scene.own.commands.stages.stop(app.stageId)
      if (place === 'keep-running') held.release()
      await scene.reaches(id, 'CANCELLED')
      held.release()
      await lawsHold(scene)
      assert.notEqual((await scene.ask(app)).status, 200)
      await scene.own.commands.stages.start(app.stageId)
      await scene.reaches(served, 'RUNNING')
      await lawsHold(scene)
      // The router hears of it when it is committed.
      await until(async () => (await scene.ask(app)).body === 'first')
    })

    test(`${place}: goes with its app`, async () => {
      const other = await scene.app(`gone-${place}`)
      const held = await hold(scene, place)
      const id = await scene.deploy(other)
      await held.reached(id)
      const deleted = scene.own.commands.apps.delete(other.id)
      if (place === 'keep-running') held.release()
      await until(async () => (await scene.rows('SELECT 1 FROM app WHERE id = $1', [other.id])).length === 0)
      held.release()
      assert.equal(await deleted, true)
      await lawsHold(scene)
    })
  }

  test('check, by an app that takes requests and never answers: is cancelled all the same', async () => {
    const mute = await scene.app('mute')
    const patient = `UPDATE stage SET health_path = '/', health_timeout_seconds = 60 WHERE id = $1`
    await scene.sql.query(patient, [mute.stageId])
    scene.docker.behaviour = ({ name }) => (name.startsWith('mute-') ? { status: null } : null)
    const id = await scene.deploy(mute)
    await until(async () => (await scene.log(id)).includes('waiting for an answer'))
    await scene.own.commands.deployments.cancel(id)
    await announced(() => scene.reaches(id, 'CANCELLED'))
    await lawsHold(scene)
  })

  test('build, while what serves is restarted: the restart makes it superfluous, and nothing is left', async () => {
    const held = await hold(scene, 'build')
    const id = await scene.deploy(app)
    await held.reached(id)
    const builds = scene.docker.builds.finished
    await scene.own.commands.stages.restart(app.stageId)
    await scene.reaches(id, 'SUPERSEDED')
    held.release()
    await lawsHold(scene)
    assert.equal(scene.docker.builds.finished, builds, 'a restart builds nothing')
    assert.equal((await scene.ask(app)).body, 'first')
  })
})

test('a cancellation that nobody announces ends a clone at the next poll, and git with all that it started', async () => {
  await using scene = await Scene.open()
  // As they are by default.
  await scene.worker({ POLL_SECONDS: '2', LEASE_SECONDS: '30' })
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const repoUrl = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/never/answers.git`
  try {
    const { id: appId } = await scene.own.commands.apps.create({ name: 'waits', repoUrl, deploy: false })
    const { id } = await scene.own.commands.deployments.deploy(appId, {})
    await until(() => commandLines(repoUrl).some((line) => line.includes('git-remote-https')))
    await scene.rows('UPDATE deployment SET cancel_requested_at = now() WHERE id = $1', [id])
    await scene.reaches(id, 'CANCELLED')
    assert.deepEqual(commandLines(repoUrl), [])
    assert.deepEqual((await scene.events(id)).slice(-2), ['CLONING', 'CANCELLED'])
  } finally {
    silent.close()
  }
})

/** What waits for a poll takes longer: the queue polls after a minute without an announcement. */
async function announced(work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now()
  await work()
  assert.ok(performance.now() - startedAt < (POLL_SECONDS * 1000) / 2, 'a poll came first')
}

/** Of all processes of this machine, those that name `text`. */
function commandLines(text: string): string[] {
  const lines = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return '' // it has ended meanwhile
      }
    })
  return lines.filter((line) => line.includes(text))
}
