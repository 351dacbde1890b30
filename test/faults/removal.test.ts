import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { webApp } from '../support/repository.js'
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

  /** What an app has served: four versions, of which the third was rolled back, and two restarts of the last one. */
  async function releases(app: AppUnderTest): Promise<string[]> {
    const ids: string[] = []
    for (const text of ['one', 'two', 'three', 'four']) {
      scene.repository.commit(webApp(text))
      ids.push(await scene.deploy(app))
      await scene.reaches(ids.at(-1) ?? '', 'RUNNING')
    }
    await scene.sql.query(`UPDATE deployment SET status = 'ROLLED_BACK' WHERE id = $1`, [ids[2]])
    for (let count = 0; count < 2; count++) {
      await scene.own.commands.stages.restart(app.stageId)
      const newest = 'SELECT id FROM deployment WHERE stage_id = $1 ORDER BY generation DESC LIMIT 1'
      ids.push((await scene.rows<{ id: string }>(newest, [app.stageId]))[0]?.id ?? '')
      await scene.reaches(ids.at(-1) ?? '', 'RUNNING')
    }
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
    await until(5_000, () => !tagsOf('kept').includes(tagged(0)))
    assert.deepEqual(tagsOf('kept').sort(), [tagged(1), tagged(5), ...theirs].sort())
    assert.equal(scene.docker.image('registry.example/kept:1.0'), first)
    assert.equal(scene.docker.images.has(third.id), false)

    const back = await scene.own.commands.releases.rollback(app.id, 'production', null)
    assert.equal(back.imageId, scene.docker.image(tagged(1))?.id, 'not to what the restart replaced')
    await scene.reaches(back.id, 'RUNNING')
    await scene.own.commands.apps.delete(app.id)
    await until(5_000, async () => (await scene.rows('SELECT 1 FROM app')).length === 0)
    assert.deepEqual(tagsOf('kept').sort(), theirs)
    for (const tag of theirs) scene.docker.images.delete(scene.docker.image(tag)?.id ?? '')
  })
})
