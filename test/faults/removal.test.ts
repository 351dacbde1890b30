import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { hold } from '../support/hold.js'
import { lawsHold } from '../support/laws.js'
import { TestRepository, webApp } from '../support/repository.js'
import { type AppUnderTest, Scene } from '../support/scene.js'
import { until } from '../support/server.js'

describe('what is removed', () => {
  let scene: Scene
  before(async () => {
    scene = await Scene.open()
  })
  after(() => scene[Symbol.asyncDispose]())

  const tagsOf = (name: string) =>
    [...scene.docker.images.values()].flatMap(({ tags }) => tags).filter((tag) => tag.includes(name))

  /** A container keeps its image. */
  const onlyRuns = (app: AppUnderTest, id: string) =>
    until(() => {
      const names = [...scene.docker.containers.values()].map(({ name }) => name)
      return names.filter((name) => name.startsWith(`${app.name}-`)).join() === `${app.name}-${id}`
    })

  /** What an app has served: four versions, of which the third was rolled back, and a restart of the last one. */
  async function releases(app: AppUnderTest): Promise<string[]> {
    const ids: string[] = []
    for (const text of ['one', 'two', 'three', 'four']) {
      scene.repository.commit(webApp(text))
      ids.push(await scene.deploy(app))
      await scene.reaches(ids.at(-1) ?? '', 'RUNNING')
    }
    await onlyRuns(app, ids[3] ?? '')
    await scene.sql.query(`UPDATE deployment SET status = 'ROLLED_BACK' WHERE id = $1`, [ids[2]])
    await scene.own.commands.stages.restart(app.stageId)
    const newest = 'SELECT id FROM deployment WHERE stage_id = $1 ORDER BY generation DESC LIMIT 1'
    ids.push((await scene.rows<{ id: string }>(newest, [app.stageId]))[0]?.id ?? '')
    await scene.reaches(ids.at(-1) ?? '', 'RUNNING')
    await onlyRuns(app, ids.at(-1) ?? '')
    return ids
  }

  test('are images of no release: restarts and what was rolled back are none, and names of people stay', async () => {
    let app: AppUnderTest
    let ids: string[]
    {
      await using _worker = await scene.workerHere({ KEEP_RELEASES: '10' })
      app = await scene.app('kept')
      ids = await releases(app)
    }
    const tagged = (index: number) => `mvp-kept:${ids[index]}`
    const [first, third] = [scene.docker.image(tagged(0)), scene.docker.image(tagged(2))]
    assert.ok(first && third)
    first.tags.push('registry.example/kept:1.0', 'mvp-kept:latest')
    scene.docker.addImage('team/kept-derived:1', { labels: third.labels })
    const theirs = ['mvp-kept:latest', 'registry.example/kept:1.0', 'team/kept-derived:1']

    await using _worker = await scene.workerHere({ KEEP_RELEASES: '1' })
    await until(() => tagsOf('kept').length <= 5)
    assert.deepEqual(tagsOf('kept').sort(), [tagged(1), tagged(4), ...theirs].sort())
    assert.equal(scene.docker.image('registry.example/kept:1.0'), first)
    assert.equal(scene.docker.images.has(third.id), false)

    const back = await scene.own.commands.releases.rollback(app.id)
    assert.equal(back.imageId, scene.docker.image(tagged(1))?.id, 'not to what the restart replaced')
    await scene.reaches(back.id, 'RUNNING')
    await scene.own.commands.apps.delete(app.id)
    await until(async () => (await scene.rows('SELECT 1 FROM app')).length === 0)
    assert.deepEqual(tagsOf('kept').sort(), theirs)
    for (const tag of theirs) scene.docker.images.delete(scene.docker.image(tag)?.id ?? '')
  })

  test('is build cache, to make room: who cancels does not wait for that', async () => {
    await using _worker = await scene.workerHere({ MIN_FREE_DISK_MIB: '1048576' })
    const prune = scene.docker.hold(/^\/build\/prune\?keep-storage=0$/)
    const id = await scene.deploy(await scene.app('cramped'))
    await prune.until()
    await scene.own.commands.deployments.cancel(id)
    await scene.reaches(id, 'CANCELLED')
    prune.release()
  })

  test('are apps, each by itself: one that cannot go holds up neither the others nor a rescue', async () => {
    const dead = await scene.worker()
    const [stuck, other] = [await scene.serving('stuck'), await scene.serving('other')]
    const held = await hold(scene, 'build')
    scene.repository.commit(webApp('rescued'))
    const id = await scene.deploy(await scene.app('rescued'))
    await held.reached(id)
    await dead.kill()
    const leaseEnds = (sql: string) =>
      scene.sql.query(`UPDATE deployment SET lease_until = ${sql} WHERE id = $1`, [id])
    await leaseEnds(`now() + interval '1 hour'`)

    await using _worker = await scene.workerHere()
    const stop = new RegExp(`^/containers/${scene.docker.container(`stuck-${stuck.deploymentId}`)?.id}/stop`)
    const stopping = scene.docker.hold(stop)
    // They wait until the apps are gone.
    const deleted = [scene.own.commands.apps.delete(stuck.app.id)]
    await stopping.until()
    deleted.push(scene.own.commands.apps.delete(other.app.id))
    await until(async () => (await scene.rows('SELECT 1 FROM app WHERE deleted_at IS NULL')).length === 2)
    await leaseEnds('now()')
    scene.own.wakeups.queueChanged()
    await until(async () => (await scene.events(id)).lastIndexOf('PENDING') > 0)

    const fault = scene.docker.fault({ path: stop, kind: 'error500', times: 1_000 })
    stopping.release('fail')
    held.release()
    const left = async () =>
      (await scene.rows<{ name: string }>('SELECT name FROM app')).map(({ name }) => name)
    await until(async () => !(await left()).includes('other'))
    assert.ok((await left()).includes('stuck'))
    fault.clear()
    scene.own.wakeups.queueChanged()
    await until(async () => !(await left()).includes('stuck'))
    assert.deepEqual(await Promise.all(deleted), [true, true])
    await scene.reaches(id, 'RUNNING')
    await lawsHold(scene)
  })
})

test('an app that is deleted is there until its mirror, which goes last, has gone as well', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere()
  const { app } = await scene.serving('last')
  const locked = await hold(scene, 'clone')
  const deleted = scene.own.commands.apps.delete(app.id)
  const isLeft = async () => (await scene.rows('SELECT 1 FROM app')).length === 1
  await until(() => ![...scene.docker.images.values()].some(({ tags }) => /last/.test(tags.join())))
  await sleep(500)
  assert.equal(await isLeft(), true)
  locked.release()
  assert.equal(await deleted, true)
  assert.equal(await isLeft(), false)
  const mirrors = readdirSync(join(scene.installation.dataDir, 'mirrors'))
  assert.deepEqual(
    mirrors.filter((name) => name !== 'home'),
    [],
  )
})

test('a mirror that no app names any more goes with the next clean-up', async () => {
  await using scene = await Scene.open()
  const mirrors = () =>
    readdirSync(join(scene.installation.dataDir, 'mirrors')).filter((name) => name !== 'home')
  const worker = await scene.workerHere()
  const { app } = await scene.serving('moved')
  const elsewhere = new TestRepository(webApp('elsewhere'))
  await scene.own.commands.apps.update(app.id, { repoUrl: elsewhere.url })
  await scene.reaches(await scene.deploy(app), 'RUNNING')
  assert.equal(mirrors().length, 2)
  await worker[Symbol.asyncDispose]()

  await using _next = await scene.workerHere()
  await until(() => mirrors().length === 1)
  assert.equal((await scene.ask(app)).body, 'elsewhere')
  elsewhere[Symbol.dispose]()
})
