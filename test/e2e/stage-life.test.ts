import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import {
  createApp,
  deploy,
  followLog,
  graphql,
  readDeployment,
  readEvents,
  updateStage,
} from '../support/client.js'
import { inspectContainer } from '../support/docker.js'
import { slowStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const ENV = { POLL_SECONDS: '1', DRAIN_SECONDS: '1', WATCH_SECONDS: '0' }

/** What a user does with a stage while it serves, and while something is under way for it. */
describe('a stage', () => {
  let installation: Installation
  let repository: TestRepository
  let port = 0
  let appId = ''
  let stageId = ''
  let serving = ''

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    repository = new TestRepository(webApp('on stage'))
    await installation.start(ENV)
    const created = await createApp(port, { name: 'curtain', repoUrl: repository.url })
    appId = created.appId
    serving = created.deploymentId
    await followLog(port, serving)
    stageId = await updateStage(port, appId, { healthCheck: { stableSeconds: 0 } })
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  async function command(name: 'stopStage' | 'startStage' | 'restartStage'): Promise<boolean> {
    const mutation = `mutation ($id: ID!) { stage: ${name}(id: $id) { stopped } }`
    return (await graphql<{ stage: { stopped: boolean } }>(port, mutation, { id: stageId })).stage.stopped
  }

  const containers = () => installation.containers()
  const images = async (ids: readonly string[]) =>
    (await installation.images()).filter((image) => ids.some((id) => image === `mvp-curtain:${id}`))
  const status = async (id: string) => (await readDeployment(port, id)).status
  const answer = () => installation.fetch('curtain.localhost').catch(() => ({ status: 0, body: '' }))
  const isBuilding = (id: string) =>
    followLog(port, id, 0, (events) => /step one\\n/.test(JSON.stringify(events)))

  test('stopped it answers 404, no container is left, and its deployment is RETIRED', async () => {
    assert.equal(await command('stopStage'), true)
    await until(async () => (await answer()).status === 404)
    assert.equal(await status(serving), 'RETIRED')
    await until(async () => (await containers()).length === 0)
    assert.equal(await command('stopStage'), true, 'once more changes nothing')
  })

  test('started it serves again, and its deployment is RUNNING', async () => {
    assert.equal(await command('startStage'), false)
    await until(async () => (await status(serving)) === 'RUNNING')
    assert.equal((await answer()).body, 'on stage', 'what is said to run answers')
    assert.deepEqual(await containers(), [`curtain-${serving}`])
  })

  test('restarted: a new deployment of the same image, without a build and without a failed request', async () => {
    let asking = true
    const failures: number[] = []
    const requests = (async () => {
      while (asking) {
        const { status: code } = await answer()
        if (code !== 200) failures.push(code)
      }
    })()
    const imageBefore = await imageOf(serving)
    await command('restartStage')
    const restarted = await newest()
    assert.notEqual(restarted, serving)
    const log = (await followLog(port, restarted)).map(({ text }) => text).join('')
    assert.match(log, /Using image mvp-curtain:\S+ without a build/)
    assert.doesNotMatch(log, /Building|Fetching/)
    assert.equal(await imageOf(restarted), imageBefore)
    await until(async () => (await containers()).length === 1)
    asking = false
    await requests
    assert.deepEqual(failures, [])
    assert.equal(await status(serving), 'RETIRED')
    serving = restarted
  })

  test('a deployment starts a stage that is stopped', async () => {
    await command('stopStage')
    serving = await deploy(port, appId)
    assert.equal((await followLog(port, serving)).at(-1)?.end?.status, 'RUNNING')
    await until(async () => (await answer()).body === 'on stage')
    await until(async () => (await containers()).length === 1)
    assert.deepEqual(await containers(), [`curtain-${serving}`])
  })

  test('stopping it cancels what is under way and what waits', async () => {
    repository.commit(webApp('never seen', [slowStep(20)]))
    const building = await deploy(port, appId)
    await isBuilding(building)
    await command('stopStage')
    await until(async () => (await status(building)) === 'CANCELLED')
    await until(async () => (await containers()).length === 0)
    assert.equal((await answer()).status, 404)
    await command('startStage')
    await until(async () => (await answer()).body === 'on stage')
  })

  test('a newer deployment takes the place of one that builds, three times in a row and not a fourth', async () => {
    repository.commit(webApp('the latest', [slowStep(4)]))
    const ids = [await deploy(port, appId)]
    for (let count = 0; count < 3; count++) {
      const older = ids.at(-1) ?? ''
      await isBuilding(older)
      ids.push(await deploy(port, appId))
      await until(async () => (await status(older)) === 'SUPERSEDED')
      const took = await seconds('n.created_at', older, 'JOIN deployment n ON n.id = d.superseded_by')
      assert.ok(took < 2, `it took ${took} s`)
      const words = `BUILDING > SUPERSEDED: Superseded by the newer deployment ${ids.at(-1)}.`
      assert.equal((await readEvents(port, older)).at(-1), words)
    }
    const fourth = ids.at(-1) ?? ''
    await isBuilding(fourth)
    const last = await deploy(port, appId)
    assert.equal((await followLog(port, fourth)).at(-1)?.end?.status, 'RUNNING')
    assert.equal((await followLog(port, last)).at(-1)?.end?.status, 'RUNNING')
    assert.equal((await answer()).body, 'the latest')
    assert.deepEqual(await images(ids.slice(0, 3)), [], 'of what made way nothing is left')
    await until(async () => (await containers()).length === 1)
    assert.deepEqual(await containers(), [`curtain-${last}`])
    serving = last
  })

  test('cancelled while it builds: CANCELLED within a second, and nothing is left', async () => {
    repository.commit(webApp('never seen', [slowStep(30)]))
    const id = await deploy(port, appId)
    await isBuilding(id)
    await graphql(port, 'mutation ($id: ID!) { cancelDeployment(id: $id) { id } }', { id })
    await until(async () => (await status(id)) === 'CANCELLED')
    const took = await seconds('d.cancel_requested_at', id)
    assert.ok(took <= 1, `it took ${took} s`)
    assert.deepEqual(await images([id]), [])
    assert.deepEqual(await containers(), [`curtain-${serving}`])
    assert.equal((await answer()).body, 'the latest')
  })

  /** From `since` until the deployment had ended, as the database has it. */
  async function seconds(since: string, id: string, join = ''): Promise<number> {
    const client = new pg.Client({ connectionString: installation.database.url })
    await client.connect()
    const sql = `SELECT extract(epoch FROM d.finished_at - ${since})::float8 AS took FROM deployment d ${join} WHERE d.id = $1`
    const { rows } = await client.query<{ took: number }>(sql, [id])
    await client.end()
    return rows[0]?.took ?? Number.NaN
  }

  async function newest(): Promise<string> {
    const query = 'query ($id: ID) { app(id: $id) { deployments(first: 1) { nodes { id } } } }'
    const { app } = await graphql<{ app: { deployments: { nodes: { id: string }[] } } }>(port, query, {
      id: appId,
    })
    return app.deployments.nodes[0]?.id ?? ''
  }
})

async function imageOf(deploymentId: string): Promise<string> {
  return (await inspectContainer<{ Image: string }>(`curtain-${deploymentId}`)).Image
}
