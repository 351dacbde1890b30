import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { InfrastructureError } from '../../src/engine/errors.js'
import { PushScene } from '../support/pushes.js'
import { TestRepository } from '../support/repository.js'

describe('a repository that is looked up', () => {
  let scene: PushScene
  before(async () => {
    scene = await PushScene.open()
  })
  afterEach(() => scene.forget())
  after(() => scene[Symbol.asyncDispose]())

  /** An app whose first commit serves. */
  async function serving(input: Readonly<Record<string, unknown>> = {}) {
    const repository = new TestRepository({ 'apps/web/a.txt': 'one' })
    const first = repository.git('rev-parse', 'HEAD')
    const app = await scene.app(repository.url, input)
    await app.push({ after: first })
    await app.serves()
    return { app, repository, first }
  }
  const due = (id: string) => scene.rows('UPDATE repository_lookup SET due_at = now() WHERE app_id = $1', id)

  test('has the commit deployed that was pushed while nobody was there, once', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    await scene.start()
    assert.deepEqual(await app.deployments(), [`WEBHOOK ${first}`])
    const missed = repository.commit({ 'apps/web/a.txt': 'two' })
    await scene.start()
    assert.deepEqual(await app.deployments(), [`WEBHOOK ${first}`, `POLL ${missed}`])
    const [row] = await scene.rows<Record<string, string>>(
      `SELECT d.actor, d.ref, e.reason FROM deployment d JOIN deployment_event e ON e.deployment_id = d.id
        WHERE d.app_id = $1 ORDER BY d.generation DESC LIMIT 1`,
      app.id,
    )
    assert.deepEqual(row, { actor: 'poll', ref: 'main', reason: 'the branch main was looked up' })
    await app.serves()
    // The forge delivers it after all.
    assert.equal(await app.push({ before: first, after: missed }), 'DEPLOYED')
    assert.match((await app.log())[0]?.reason ?? '', /a lookup of the branch has found this commit before/)
    await scene.start()
    assert.equal((await app.deployments()).length, 2)
  })

  test('has no commit deployed again that failed, was rolled back, or was deployed by hand', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const bad = repository.commit({ 'apps/web/a.txt': 'bad' })
    await scene.start()
    await app.fails()
    await scene.start()
    assert.deepEqual((await app.deployments()).slice(1), [`POLL ${bad}`])
    const good = repository.commit({ 'apps/web/a.txt': 'good' })
    await scene.start()
    await app.serves(good)
    await scene.own.commands.releases.rollback(app.id)
    await app.serves()
    await scene.start()
    assert.deepEqual((await app.deployments()).slice(2), [`POLL ${good}`, `ROLLBACK ${first}`])
    const byHand = repository.commit({ 'apps/web/a.txt': 'by hand' })
    await scene.own.commands.deployments.deploy(app.id, {})
    await scene.start()
    assert.equal((await app.deployments()).length, 5, 'what waits fetches the head itself')
    await scene.rows(
      `UPDATE deployment SET commit_sha = $2 WHERE app_id = $1 AND commit_sha IS NULL`,
      app.id,
      byHand,
    )
    await app.fails()
    await scene.start()
    assert.equal((await app.deployments()).length, 5)
    // Set back on purpose, it is another push.
    repository.git('reset', '--quiet', '--hard', good)
    await scene.start()
    assert.equal((await app.deployments()).at(-1), `POLL ${good}`)
  })

  test('deploys nothing that was never followed, asked not to be, or is not followed any more', async () => {
    using repository = new TestRepository({ 'a.txt': 'one' })
    const never = await scene.app(repository.url)
    await scene.start()
    assert.deepEqual(await never.deployments(), [])
    repository.commit({ 'a.txt': 'two' }, 'Words\n\n[skip ci]')
    await scene.start()
    assert.deepEqual(await never.deployments(), [])
    const [stage] = await scene.rows<{ id: string }>('SELECT id FROM stage WHERE app_id = $1', never.id)
    await scene.own.commands.stageSettings.update(stage?.id ?? '', { autoDeploy: false })
    const third = repository.commit({ 'a.txt': 'three' })
    await scene.start()
    assert.deepEqual(await never.deployments(), [])
    await scene.own.commands.stageSettings.update(stage?.id ?? '', { autoDeploy: true, branch: 'next' })
    repository.git('branch', 'next')
    await scene.start()
    assert.deepEqual(await never.deployments(), [], 'nothing of that branch was ever deployed')
    await scene.own.commands.stageSettings.update(stage?.id ?? '', { branch: 'main' })
    await scene.start()
    const fourth = repository.commit({ 'a.txt': 'four' })
    await scene.start()
    assert.deepEqual(await never.deployments(), [`POLL ${fourth}`], `${third} came before it followed main`)
  })

  test('does not take back a push that came while it was looked up', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const old = repository.commit({ 'apps/web/a.txt': 'two' })
    const newest = repository.commit({ 'apps/web/a.txt': 'three' })
    const { git } = scene.services
    const listRefs: typeof git.listRefs = async (remote, signal) => {
      const refs = await git.listRefs(remote, signal)
      await app.push({ before: first, after: newest })
      return { ...refs, branches: new Map([['main', old]]) }
    }
    await scene.poller(3_600_000, { git: { ...git, listRefs } }).pollDue()
    await scene.comparer.compareDue()
    assert.deepEqual(await app.deployments(), [`WEBHOOK ${first}`, `WEBHOOK ${newest}`])
  })

  test('is asked once for all apps and stages, by one worker, and again only when it is due', async () => {
    const { app, repository } = await serving()
    using _ = repository
    const other = await scene.app(repository.url)
    await scene.own.commands.stages.create(other.id, 'twin', 'main')
    let asked = 0
    const { git } = scene.services
    const listRefs: typeof git.listRefs = (remote, signal) => {
      if (remote.repoUrl === repository.url) asked++
      return git.listRefs(remote, signal)
    }
    const started = scene.poller(3_600_000, { git: { ...git, listRefs } })
    await started.pollDue()
    assert.equal(asked, 1)
    await started.pollDue()
    assert.equal(asked, 1)
    await scene.rows(`UPDATE repository_lookup SET looked_up_at = now() - interval '2 hours'`)
    const never = scene.poller(0, { git: { ...git, listRefs } })
    await never.pollDue()
    assert.equal(asked, 1, '0 is never')
    await due(app.id)
    await never.pollDue()
    assert.equal(asked, 2, 'but what was asked for is done')
    const both = [0, 1].map(() => scene.poller(3_600_000, { git: { ...git, listRefs } }))
    await Promise.all(both.map((one) => one.pollDue()))
    assert.ok([3, 4].includes(asked), 'never two at the same time, one after another at most')
  })

  test('whose forge is down is logged once, and asked again soon', async () => {
    const { app, repository } = await serving()
    using _ = repository
    const { git } = scene.services
    let isDown = true
    const listRefs: typeof git.listRefs = (remote, signal) =>
      isDown && remote.repoUrl === repository.url
        ? Promise.reject(new InfrastructureError('CLONE_FAILED', 'connection refused'))
        : git.listRefs(remote, signal)
    const poller = scene.poller(3_600_000, { git: { ...git, listRefs } })
    await poller.pollDue()
    const [row] = await scene.rows<{ error: string; soon: boolean }>(
      `SELECT error, due_at < now() + interval '6 minutes' AS soon FROM repository_lookup WHERE app_id = $1`,
      app.id,
    )
    assert.deepEqual(row, { error: 'connection refused', soon: true })
    await due(app.id)
    await poller.pollDue()
    assert.deepEqual(scene.logged, [`warn could not look up a repository ${app.name}`])
    const missed = repository.commit({ 'apps/web/a.txt': 'two' })
    isDown = false
    await due(app.id)
    await poller.pollDue()
    await scene.comparer.compareDue()
    assert.deepEqual(scene.logged.slice(1), [`info a repository can be looked up again ${app.name}`])
    assert.equal((await app.deployments()).at(-1), `POLL ${missed}`)
  })

  test('has main deployed although 35 branches were pushed before it in the same minute', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    for (let index = 0; index < 35; index++) {
      const facts = { ref: `refs/heads/b${index}`, after: first, before: '0'.repeat(40) }
      assert.equal(await app.push(facts), 'IGNORED')
    }
    const second = repository.commit({ 'apps/web/a.txt': 'two' })
    assert.equal(await app.push({ before: first, after: second }), 'DEPLOYED')
    const third = repository.commit({ 'apps/web/a.txt': 'three' })
    // As many as may be deployed in a minute.
    await scene.rows(
      `INSERT INTO webhook_delivery (id, app_id, forge, event, verdict, reason, decisions, content_type)
       SELECT 'l' || n, $1, 'GITHUB', 'push', 'DEPLOYED', '', '[]', '' FROM generate_series(1, 30) n`,
      app.id,
    )
    assert.equal(await app.push({ before: second, after: third }), 'limited')
    const [refused] = await app.log()
    assert.deepEqual([refused?.verdict, refused?.ref], ['RATE_LIMITED', 'refs/heads/main'])
    assert.match(refused?.reason ?? '', /is looked up in a minute/)
    const [row] = await scene.rows<{ seconds: number }>(
      'SELECT extract(epoch FROM due_at - now())::int AS seconds FROM repository_lookup WHERE app_id = $1',
      app.id,
    )
    assert.ok(row && row.seconds > 50 && row.seconds <= 60, JSON.stringify(row))
    await due(app.id)
    await scene.poller(0).pollDue()
    await scene.comparer.compareDue()
    assert.equal((await app.deployments()).at(-1), `POLL ${third}`)
  })
})
