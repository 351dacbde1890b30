import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { createApp, deploy, followLog, graphql, readDeployment, updateStage } from '../support/client.js'
import { docker, inspectContainer } from '../support/docker.js'
import { BASE_IMAGE, TestRepository, webApp } from '../support/repository.js'
import { Installation, type ServerProcess, until } from '../support/server.js'

const ENV = { POLL_SECONDS: '1', LEASE_SECONDS: '2', DRAIN_SECONDS: '1', WATCH_SECONDS: '0' }

/** Two more than are kept, and as many restarts as push the newest of them out. */
const RELEASES = 5
const RESTARTS = 3

interface Container {
  Id: string
  Image: string
  State: { Running: boolean }
  Config: { Env: string[]; Labels: Record<string, string>; Cmd: string[] }
  HostConfig: Record<string, unknown>
}

const inspect = (container: string) => inspectContainer<Container>(container)

describe('containers that somebody touched by hand', () => {
  let installation: Installation
  let repository: TestRepository
  let name = ''
  const foreign: string[] = []

  before(async () => {
    installation = await Installation.create()
    repository = new TestRepository(webApp('mended'))
    await installation.start(ENV)
    const variables = [{ key: 'GREETING', value: 'good day' }]
    const input = { name: 'mended', repoUrl: repository.url, variables }
    const { deploymentId } = await createApp(installation.port, input)
    const events = await followLog(installation.port, deploymentId)
    assert.equal(events.at(-1)?.end?.status, 'RUNNING')
    name = `mended-${deploymentId}`
  })
  after(async () => {
    if (foreign.length > 0) docker('rm', '-f', ...foreign)
    await installation[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  const serves = () => servesAt(installation, 'mended.localhost', 'mended')

  test('removed: it is made again from its image, with the same environment, labels and limits', async () => {
    const old = await inspect(name)
    docker('rm', '-f', name)
    await until(serves)
    const made = await inspect(name)
    assert.notEqual(made.Id, old.Id)
    assert.equal(made.Image, old.Image)
    assert.deepEqual(made.Config.Env, old.Config.Env)
    assert.ok(made.Config.Env.includes('GREETING=good day'))
    assert.deepEqual(made.Config.Labels, old.Config.Labels)
    assert.deepEqual(made.HostConfig, old.HostConfig)
  })

  test('stopped: it is started again', async () => {
    const old = await inspect(name)
    docker('stop', '-t', '0', name)
    await until(serves)
    const now = await inspect(name)
    assert.equal(now.Id, old.Id)
    assert.equal(now.State.Running, true)
    assert.deepEqual(now.HostConfig, old.HostConfig)
  })

  test('what only looks like ours is not touched, what carries our label and belongs to nothing is removed', async () => {
    const ours = (await inspect(name)).Config.Labels['longshore.instance']
    const others = ['longshore.instance=somebodyelse', 'longshore.deployment=gone00000000']
    foreign.push(run(`${name}-2`), run('mended-gone00000000', ...others), run('mended'))
    const orphan = ['longshore.deployment=gone00000001', 'longshore.epoch=1']
    run('mended-orphan', `longshore.instance=${ours}`, ...orphan)
    await until(async () => !(await installation.containers()).includes('mended-orphan'))
    for (const id of foreign) assert.ok((await inspect(id)).State.Running)
    assert.ok(await serves())
  })
})

describe('what a process finds when it starts', () => {
  for (const failpoint of ['before:switch', 'after:switch']) {
    test(`it died ${failpoint}: the new version runs once, the old container goes after its drain`, async () => {
      await using installation = await Installation.create()
      const { port } = installation
      let server = await installation.start(ENV)
      using repository = new TestRepository(webApp('old'))
      const app = failpoint.replace(':', '-')
      const { appId, deploymentId: first } = await createApp(port, { name: app, repoUrl: repository.url })
      await followLog(port, first)
      await updateStage(port, appId, { healthCheck: { stableSeconds: 0 } })
      await server.stop()

      server = await installation.start({ ...ENV, FAILPOINT: failpoint })
      repository.commit(webApp('new'))
      const second = await deploy(port, appId)
      await ended(server)
      assert.deepEqual(
        (await installation.containers()).sort(),
        [`${app}-${first}`, `${app}-${second}`].sort(),
      )

      await installation.start(ENV)
      await until(() => servesAt(installation, `${app}.localhost`, 'new'))
      await until(async () => (await installation.containers()).length === 1)
      assert.deepEqual(await installation.containers(), [`${app}-${second}`])
      assert.equal((await readDeployment(port, first)).status, 'RETIRED')
      assert.equal((await readDeployment(port, second)).status, 'RUNNING')
      const sql = `SELECT count(*)::int AS n FROM deployment_event WHERE deployment_id = $1 AND to_status = 'RUNNING'`
      assert.deepEqual(await query(installation, sql, [second]), [{ n: 1 }])
      assert.equal((await followLog(port, second)).filter(({ end }) => end !== null).length, 1)
    })
  }

  test('images: those of the last releases stay, and the one that runs whoever built it', async () => {
    await using installation = await Installation.create()
    const { port } = installation
    const tags = async () => (await installation.images()).map((image) => image.slice('mvp-released:'.length))
    // A container keeps its image until the next round, ten minutes later.
    const onlyOneIsLeft = () => until(async () => (await installation.containers()).length === 1)
    const env = { ...ENV, DRAIN_SECONDS: '0', KEEP_RELEASES: '2' }
    const server = await installation.start(env)
    using repository = new TestRepository(webApp('release 1'))
    const { appId, deploymentId } = await createApp(port, { name: 'released', repoUrl: repository.url })
    const releases = [deploymentId]
    await followLog(port, deploymentId)
    const id = await updateStage(port, appId, { healthCheck: { stableSeconds: 0 } })
    while (releases.length < RELEASES) {
      repository.commit({ 'www/index.html': `release ${releases.length + 1}` })
      const next = await deploy(port, appId)
      assert.equal((await followLog(port, next)).at(-1)?.end?.status, 'RUNNING')
      releases.push(next)
    }
    assert.equal((await tags()).length, RELEASES)
    // As the build of a worker does that has lost its claim: the name of what serves goes to another image.
    const name = `mvp-released:${releases.at(-1)}`
    const idOf = (image: string) => docker('inspect', '-f', '{{.Id}}', image)
    const serving = idOf(name)
    docker('tag', BASE_IMAGE, name)
    await onlyOneIsLeft()
    await server.stop()
    await installation.start(env)
    await until(async () => (await tags()).length === 3)
    assert.deepEqual((await tags()).sort(), releases.slice(-3).sort())
    assert.equal(idOf(name), serving, 'it has its name again')

    // Three restarts: the image that runs was made by a release that is none of the last three any more.
    for (let count = 0; count < RESTARTS; count++) {
      await graphql(port, 'mutation ($id: ID!) { restartStage(id: $id) { id } }', { id })
      const newest = 'SELECT id FROM deployment ORDER BY generation DESC LIMIT 1'
      const [restarted] = await query<{ id: string }>(installation, newest)
      assert.equal((await followLog(port, restarted?.id ?? '')).at(-1)?.end?.status, 'RUNNING')
    }
    await onlyOneIsLeft()
    await installation.processes.at(-1)?.stop()
    await installation.start(env)
    await until(async () => {
      const left = await tags()
      return left.length === 3 && !left.includes(releases.at(-1) ?? '')
    })
    docker('rm', '-f', ...(await installation.containers()))
    await until(() => servesAt(installation, 'released.localhost', `release ${RELEASES}`))
    assert.equal(
      (await query(installation, 'SELECT id FROM deployment')).length,
      RELEASES + RESTARTS,
      'nothing was built again',
    )
  })
})

/** A container of somebody else's; gives its id. */
function run(name: string, ...labels: string[]): string {
  const options = labels.flatMap((label) => ['--label', label])
  return docker('run', '-d', '--init', '--name', name, ...options, BASE_IMAGE, '/bin/busybox', 'sleep', '300')
}

async function servesAt(installation: Installation, host: string, body: string): Promise<boolean> {
  const answer = await installation.fetch(host).catch(() => null)
  return answer?.status === 200 && answer.body === body
}

async function ended({ child }: ServerProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  assert.equal(child.signalCode, 'SIGKILL')
}

async function query<T>(installation: Installation, sql: string, values: unknown[] = []): Promise<T[]> {
  const client = new pg.Client({ connectionString: installation.database.url })
  await client.connect()
  try {
    return (await client.query(sql, values)).rows as T[]
  } finally {
    await client.end()
  }
}
