import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { InfrastructureError } from '../../src/engine/errors.js'
import { PushComparer } from '../../src/engine/pushes/push-comparer.js'
import { gitea, gitlab, gitlabBody } from '../support/forges.js'
import { PushScene } from '../support/pushes.js'
import { TestRepository } from '../support/repository.js'

const WATCHED = { watchPaths: ['apps/web/**'] }

describe('a push to an app with watched paths', () => {
  let scene: PushScene
  before(async () => {
    scene = await PushScene.open()
  })
  afterEach(() => scene.forget())
  after(() => scene[Symbol.asyncDispose]())

  /** An app whose first commit serves. */
  async function serving() {
    const repository = new TestRepository({ 'apps/web/a.txt': 'one', 'docs/a.md': 'one' })
    const first = repository.git('rev-parse', 'HEAD')
    const app = await scene.app(repository.url, WATCHED)
    await app.push({ after: first, modified: ['apps/web/a.txt'] })
    await app.serves()
    return { app, repository, first }
  }

  test('is compared with what serves, and the delivery says between which commits nothing changed', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const docs = repository.commit({ 'docs/a.md': 'two' })
    assert.equal(await app.push({ before: first, after: docs, modified: ['docs/a.md'] }), 'COMPARING')
    assert.match((await app.log())[0]?.reason ?? '', /^production: a worker compares it/)
    await scene.comparer.compareDue()
    const [entry] = await app.log()
    assert.equal(entry?.verdict, 'IGNORED')
    assert.equal(entry.reason, `nothing under the watched paths changed between ${first} and ${docs}`)
    assert.deepEqual(await app.deployments(), [`WEBHOOK ${first}`])
  })

  test('deploys at once what its forge lists as watched, and compares no tag', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const web = repository.commit({ 'apps/web/a.txt': 'two' })
    assert.equal(await app.push({ before: first, after: web, modified: ['apps/web/a.txt'] }), 'DEPLOYED')
    assert.deepEqual(await app.deployments(), [`WEBHOOK ${first}`, `WEBHOOK ${web}`])
  })

  test('is deployed where a watched change came before it and failed, or a forced push took one away', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const web = repository.commit({ 'apps/web/a.txt': 'two' })
    await app.push({ before: first, after: web, modified: ['apps/web/a.txt'] })
    await app.fails()
    const docs = repository.commit({ 'docs/a.md': 'two' })
    await app.push({ before: web, after: docs, modified: ['docs/a.md'] })
    await scene.comparer.compareDue()
    assert.equal((await app.log())[0]?.verdict, 'DEPLOYED')
    assert.equal((await app.deployments()).at(-1), `WEBHOOK ${docs}`)
    await app.serves()
    // GitLab and Gitea do not say that a push was forced: they list the commits that it adds.
    repository.git('reset', '--quiet', '--hard', first)
    const forced = repository.commit({ 'docs/a.md': 'three' })
    const facts = { ref: 'refs/heads/main', before: docs, after: forced, modified: ['docs/a.md'] }
    assert.equal(await app.send(gitlab(app.secret, gitlabBody(facts))), 'COMPARING')
    await scene.comparer.compareDue()
    assert.equal((await app.log())[0]?.verdict, 'DEPLOYED')
    assert.equal((await app.deployments()).at(-1), `WEBHOOK ${forced}`)
  })

  test('is compared also past the commits that its forge lists', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    for (let index = 0; index < 7; index++) repository.commit({ 'docs/a.md': `${index}` })
    const last = repository.git('rev-parse', 'HEAD')
    const facts = { ref: 'refs/heads/main', before: first, after: last, modified: ['docs/a.md'], total: 7 }
    assert.equal(await app.send(gitea(app.secret, facts)), 'COMPARING')
    await scene.comparer.compareDue()
    assert.equal((await app.log())[0]?.verdict, 'IGNORED')
  })

  test('is compared with what is under way as well, and makes way for a later one', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const web = repository.commit({ 'apps/web/a.txt': 'two' })
    await app.push({ before: first, after: web, modified: ['apps/web/a.txt'] })
    // The same files as what serves, and others than what is about to.
    const back = repository.commit({ 'apps/web/a.txt': 'one' })
    await app.push({ before: web, after: back, forced: true })
    const docs = repository.commit({ 'docs/a.md': 'two' })
    await app.push({ before: back, after: docs, modified: ['docs/a.md'] })
    assert.match((await app.log())[1]?.reason ?? '', /a later push came before it was compared/)
    await scene.comparer.compareDue()
    assert.deepEqual((await app.deployments()).slice(1), [`WEBHOOK ${web}`, `WEBHOOK ${docs}`])
  })

  test('does not undo a rollback that was asked for while it was compared', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const web = repository.commit({ 'apps/web/a.txt': 'two' })
    await app.push({ before: first, after: web, modified: ['apps/web/a.txt'] })
    await app.serves()
    const more = repository.commit({ 'apps/web/a.txt': 'three' })
    await app.push({ before: web, after: more, forced: true })
    const { id } = await scene.own.commands.releases.rollback(app.id)
    await scene.comparer.compareDue()
    assert.match((await app.log())[0]?.reason ?? '', new RegExp(`${id} was requested after it`))
    assert.equal((await app.deployments()).at(-1), `ROLLBACK ${first}`)
  })

  test('that comes late is not deployed after a later one that was compared', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const web = repository.commit({ 'apps/web/a.txt': 'two' })
    const back = repository.commit({ 'apps/web/a.txt': 'one', 'docs/a.md': 'two' })
    await app.push({ before: web, after: back, modified: ['docs/a.md'] })
    await scene.comparer.compareDue()
    assert.equal(await app.push({ before: first, after: web, modified: ['apps/web/a.txt'] }), 'IGNORED')
    assert.match((await app.log())[0]?.reason ?? '', /a later push was handled before it/)
    assert.deepEqual(await app.deployments(), [`WEBHOOK ${first}`])
  })

  test('is deployed where what serves is gone from the repository, or the pushed commit cannot be fetched', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    using replaced = new TestRepository({ 'docs/b.md': 'another history' })
    await scene.own.commands.apps.update(app.id, { repoUrl: replaced.url })
    const head = replaced.git('rev-parse', 'HEAD')
    await app.push({ before: first, after: head, forced: true })
    await scene.comparer.compareDue()
    assert.match((await app.log())[0]?.reason ?? '', new RegExp(`cannot be compared with ${first}`))
    await app.fails()
    await app.push({ before: head, after: 'b'.repeat(40), forced: true })
    await scene.comparer.compareDue()
    const [entry] = await app.log()
    assert.deepEqual([entry?.verdict, /could not be compared/.test(entry?.reason ?? '')], ['DEPLOYED', true])
  })

  test('waits for a forge that is down, and for a worker that died', async () => {
    const { app, repository, first } = await serving()
    using _ = repository
    const docs = repository.commit({ 'docs/a.md': 'two' })
    await app.push({ before: first, after: docs, modified: ['docs/a.md'] })
    const { git } = scene.services
    const away = () => Promise.reject(new InfrastructureError('CLONE_FAILED', 'connection refused'))
    await using down = new PushComparer({ ...scene.services, git: { ...git, fetch: away } })
    await down.compareDue()
    assert.equal((await app.log())[0]?.verdict, 'COMPARING')
    await scene.comparer.compareDue()
    assert.equal((await app.log())[0]?.verdict, 'COMPARING', 'it is not its turn yet')
    // What a dead worker held is another one's when its time is over.
    await scene.rows('UPDATE push_comparison SET next_at = now()')
    await scene.comparer.compareDue()
    assert.equal((await app.log())[0]?.verdict, 'IGNORED')
    assert.deepEqual(await scene.rows('SELECT 1 FROM push_comparison'), [])
  })
})
