import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Queries } from '../../src/engine/queries.js'
import { Forge } from '../../src/entities/webhook-delivery.js'
import { NONE } from '../support/forges.js'
import { type PushApp, PushScene } from '../support/pushes.js'
import { TestRepository } from '../support/repository.js'

describe('an app whose repository changes', () => {
  let scene: PushScene
  before(async () => {
    scene = await PushScene.open()
  })
  afterEach(() => scene.forget())
  after(() => scene[Symbol.asyncDispose]())

  const commands = () => scene.own.commands
  async function target(app: PushApp) {
    const [row] = await scene.rows<{ api: string; repository: string }>(
      'SELECT api_url AS api, repository FROM commit_status_target WHERE app_id = $1',
      app.id,
    )
    const errors = await new Queries(scene.own.database).commitStatusErrors([app.id])
    return { ...row, error: errors.get(app.id) ?? null }
  }

  test('tells the new one of its commits on the same host, and nobody on another, and says so', async () => {
    const app = await scene.app('https://git.example.com/team/old.git')
    await commands().commitStatuses.set(app.id, { forge: Forge.GITEA, token: 'secret' })
    const api = 'https://git.example.com/api/v1'
    await commands().apps.update(app.id, { repoUrl: 'ssh://git@git.example.com:2222/team/new.git' })
    assert.deepEqual(await target(app), { api, repository: 'team/new', error: null })
    await commands().apps.update(app.id, { repoUrl: 'https://other.example.com/team/new.git' })
    const moved = await target(app)
    assert.deepEqual([moved.api, moved.repository], [api, 'team/new'])
    assert.match(
      moved.error ?? '',
      /repoUrl was changed, and it is on another host: call setCommitStatus again/,
    )
    await commands().commitStatuses.set(app.id, { forge: Forge.GITEA, token: 'secret' })
    const set = { api: 'https://other.example.com/api/v1', repository: 'team/new', error: null }
    assert.deepEqual(await target(app), set)
  })

  test('is asked for the address of the API where only its SSH address is known', async () => {
    const cases: [repoUrl: string, forge: Forge, api: string | null][] = [
      ['git@git.example.com:team/shop.git', Forge.GITEA, null],
      ['ssh://git@git.example.com:2222/team/shop.git', Forge.GITLAB, null],
      ['git@github.com:team/shop.git', Forge.GITHUB, 'https://api.github.com'],
      ['ssh://git@ssh.github.com:443/team/shop.git', Forge.GITHUB, 'https://api.github.com'],
      ['ssh://git@altssh.gitlab.com:443/team/shop.git', Forge.GITLAB, 'https://gitlab.com/api/v4'],
      ['git@codeberg.org:team/shop.git', Forge.GITEA, 'https://codeberg.org/api/v1'],
    ]
    for (const [repoUrl, forge, api] of cases) {
      const app = await scene.app(repoUrl)
      const set = commands().commitStatuses.set(app.id, { forge, token: 'secret' })
      if (api === null) await assert.rejects(set, { code: 'BAD_USER_INPUT', field: 'apiUrl' }, repoUrl)
      else assert.equal((await set, await target(app)).api, api)
    }
  })

  test('stops a stage that asks for it when its branch is deleted, and no other', async () => {
    using repository = new TestRepository({ 'a.txt': 'one' })
    for (const branch of ['next', 'feature']) repository.git('branch', branch)
    const head = repository.git('rev-parse', 'HEAD')
    const app = await scene.app(repository.url)
    const make = async (name: string, branch: string, stops: boolean) => {
      const { id } = await commands().stages.create(app.id, name, branch)
      await commands().stageSettings.update(id, { stopOnBranchDeletion: stops })
    }
    await make('stops', 'feature', true)
    await make('stays', 'feature', false)
    await make('looked-up', 'next', true)
    const stopped = async () => {
      const sql = 'SELECT name FROM stage WHERE app_id = $1 AND stopped ORDER BY name'
      return (await scene.rows<{ name: string }>(sql, app.id)).map(({ name }) => name)
    }
    const deletion = { ref: 'refs/heads/feature', before: head, after: NONE }
    await app.push({ ...deletion, before: NONE, after: head })
    await app.push({ ...deletion, ref: 'refs/heads/other' })
    await scene.start()
    assert.deepEqual(await stopped(), [])
    repository.git('branch', '-D', 'feature')
    assert.equal(await app.push(deletion), 'IGNORED')
    const [entry] = await app.log()
    const said = entry?.decisions.find(({ stage }) => stage === 'stops')
    assert.equal(said?.reason, 'the branch was deleted: the stage stops')
    assert.deepEqual(await stopped(), ['stops'])
    const sql = `SELECT count(*)::int AS count FROM deployment WHERE app_id = $1 AND status = 'CANCELLED'`
    assert.deepEqual(await scene.rows(sql, app.id), [{ count: 1 }], 'what waited is cancelled')
    // Nobody tells of this one.
    repository.git('branch', '-D', 'next')
    await scene.start()
    assert.deepEqual(await stopped(), ['looked-up', 'stops'])
  })
})
