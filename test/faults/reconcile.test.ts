import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DockerAnswer, DockerHttp } from '../support/docker-http.js'
import { lawsHold } from '../support/laws.js'
import { type AppUnderTest, Scene } from '../support/scene.js'
import { until } from '../support/server.js'

describe('what serves comes back', () => {
  let scene: Scene
  let app: AppUnderTest
  let container: string
  before(async () => {
    scene = await Scene.open()
    await scene.worker()
    const first = await scene.serving('steady')
    app = first.app
    container = `steady-${first.deploymentId}`
  })
  after(() => scene[Symbol.asyncDispose]())

  async function isBack(): Promise<void> {
    await lawsHold(scene)
    await until(async () => (await scene.ask(app)).body === 'first')
  }

  test('when its container was removed by hand', async () => {
    await scene.docker.remove(container)
    await isBack()
  })

  test('when its container was stopped by hand', async () => {
    await scene.docker.stop(container)
    await isBack()
  })

  test('when its container dies', async () => {
    await scene.docker.crash(container)
    await isBack()
  })

  test('when it ends again and again, and until it is started nobody asks for it', async () => {
    const calls = (pattern: RegExp) => scene.docker.calls.filter(({ path }) => pattern.test(path))
    const tried = () => calls(/\/start$/).filter(({ status }) => status === 304).length
    const before = tried()
    scene.docker.restartDelayMs = 60_000
    await scene.docker.crash(container)
    await until(() => tried() > before)
    const looks = calls(/^\/containers\/json$/).length
    await sleep(1_500)
    const more = calls(/^\/containers\/json$/).length - looks
    assert.ok(more <= 4, `${more} looks in 1.5 s`)
    scene.docker.restartDelayMs = 10
    await scene.docker.remove(container)
    await isBack()
  })

  test('when its container was paused', async () => {
    const http = new DockerHttp(scene.docker.host)
    assert.equal((await http.call('POST', `/containers/${container}/pause`)).status, 204)
    await until(() => scene.docker.container(container)?.paused === false)
    await isBack()
  })

  test('when its container was given another name: that one goes when its replacement serves', async () => {
    const http = new DockerHttp(scene.docker.host)
    assert.equal((await http.call('POST', `/containers/${container}/rename?name=taken-away`)).status, 204)
    await scene.docker.stop('taken-away') // for the event: nothing tells of a new name
    await until(() => scene.docker.container('taken-away') === null)
    await isBack()
  })

  test('and what is not ours, or another installation’s, is left alone', async () => {
    const http = new DockerHttp(scene.docker.host)
    const label = (instance: string) => ({
      'longshore.instance': instance,
      'longshore.deployment': 'x12345678901',
    })
    const foreign: Record<string, object> = {
      [`${container}-2`]: {},
      'steady-x12345678901': label('another'),
    }
    for (const [name, Labels] of Object.entries(foreign)) {
      assert.equal((await create(http, name, Labels)).status, 201)
    }
    // As `docker run` of the image that serves: the container has that one's labels.
    const { imageId = '' } = scene.docker.container(container) ?? {}
    foreign['looks-around'] = {}
    assert.equal((await create(http, 'looks-around', {}, imageId)).status, 201)
    assert.ok(scene.docker.container('looks-around')?.labels['longshore.deployment'])
    await scene.docker.remove(container)
    await until(() => scene.docker.container(container)?.status === 'running')
    const [{ id: instance } = { id: '' }] = await scene.rows<{ id: string }>('SELECT id FROM instance')
    // One of ours that nothing needs tells that the round is through.
    const orphan = { ...label(instance), 'longshore.epoch': '1' }
    assert.equal((await create(http, 'steady-orphan', orphan)).status, 201)
    await until(() => scene.docker.container('steady-orphan') === null)
    for (const name of Object.keys(foreign)) {
      assert.ok(scene.docker.container(name), `${name} was removed`)
      await scene.docker.remove(name)
    }
    await isBack()
  })

  test('all of it after a restart of the engine, at new addresses', async () => {
    for (const name of ['second', 'third']) {
      const other = await scene.app(name)
      await scene.reaches(await scene.deploy(other), 'RUNNING')
    }
    await lawsHold(scene)
    await scene.docker.reboot()
    await lawsHold(scene)
    await isBack()
  })

  test('when its image is gone too: the commit is built once more', async () => {
    const [{ commit_sha: commit, image_id: image } = { commit_sha: '', image_id: '' }] = await scene.rows<{
      commit_sha: string
      image_id: string
    }>(`SELECT commit_sha, image_id FROM deployment WHERE stage_id = $1 AND status = 'RUNNING'`, [
      app.stageId,
    ])
    const builds = scene.docker.builds.started
    await scene.docker.remove(container)
    // Between the two a new container may have been made of it.
    scene.docker.images.delete(image)
    const made = scene.docker.container(container)
    if (made) await scene.docker.remove(container)
    const sql = `SELECT commit_sha FROM deployment WHERE stage_id = $1 AND status = 'RUNNING' AND image_id <> $2`
    const again = await until(async () => (await scene.rows(sql, [app.stageId, image]))[0])
    assert.equal(again.commit_sha, commit)
    await isBack()
    assert.equal(scene.docker.builds.started, builds + 1)
  })
})

function create(
  http: DockerHttp,
  name: string,
  Labels: object,
  Image = 'longshore-test/busybox:local',
): Promise<DockerAnswer> {
  return http.call('POST', `/containers/create?name=${name}`, {
    Image,
    Cmd: ['/bin/busybox', 'sleep', '60'],
    Labels,
  })
}
