import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { createApp, deploy, followLog, graphql, readDeployment } from '../support/client.js'
import { isRunning } from '../support/docker.js'
import { BASE_IMAGE, slowStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, type ServerProcess, TOKEN, until } from '../support/server.js'
import { onDatabase } from '../support/tables.js'

/** A short lease, so that what a dead process held is given back soon. */
const ENV = { LEASE_SECONDS: '2', POLL_SECONDS: '1' }

describe('a process that dies', () => {
  let installation: Installation
  let server: ServerProcess
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    server = await installation.start(ENV)
  })
  after(() => installation[Symbol.asyncDispose]())

  const deleteApp = (id: string) => graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id })

  async function diesWhile(status: string, repository: TestRepository, name: string): Promise<void> {
    const { appId, deploymentId } = await createApp(port, { name, repoUrl: repository.url })
    await until(async () => (await readDeployment(port, deploymentId)).status === status, 2)
    if (status === 'BUILDING')
      await followLog(port, deploymentId, 0, (events) => /step one/.test(JSON.stringify(events)))
    await server.kill()
    server = await installation.start(ENV)
    const events = await followLog(port, deploymentId)
    const log = events.map((event) => event.text).join('')
    assert.equal(events.at(-1)?.end?.status, 'RUNNING', log)
    assert.deepEqual(
      events.map((event) => event.seq),
      events.map((_event, index) => index + 1),
    )
    assert.match(log, /Back in the queue: the worker that held it stopped/)
    assert.equal((await installation.fetch(`${name}.localhost`)).body, 'survivor')
    assert.deepEqual(await installation.containers(), [`${name}-${deploymentId}`])
    assert.deepEqual(await installation.images(), [`mvp-${name}:${deploymentId}`])
    await deleteApp(appId)
  }

  test('in the middle of the clone: the deployment starts over and runs, once', async () => {
    using repository = new TestRepository({ ...webApp('survivor'), '.dockerignore': 'large.bin\n' })
    writeFileSync(join(repository.folder, 'large.bin'), randomBytes(24 * 1024 * 1024))
    repository.commit({})
    await diesWhile('CLONING', repository, 'dies-cloning')
  })

  test('in the middle of the build: the deployment starts over and runs, once', async () => {
    using repository = new TestRepository(webApp('survivor', [slowStep(3)]))
    await diesWhile('BUILDING', repository, 'dies-building')
  })

  test('while the container is being checked: the deployment starts over and runs, once', async () => {
    const slow = 'busybox sleep 3; exec busybox httpd -f -p 8080 -h /www'
    const command = JSON.stringify(['/bin/busybox', 'sh', '-c', slow])
    const dockerfile = `FROM ${BASE_IMAGE}\nCOPY www /www\nEXPOSE 8080\nCMD ${command}\n`
    using repository = new TestRepository({ 'www/index.html': 'survivor', Dockerfile: dockerfile })
    await diesWhile('STARTING', repository, 'dies-starting')
  })

  test('what had been running goes on serving, and the router finds it again', async () => {
    using repository = new TestRepository(webApp('steady'))
    const { appId, deploymentId } = await createApp(port, { name: 'steady-one', repoUrl: repository.url })
    await followLog(port, deploymentId)
    await server.kill()
    assert.ok(await isRunning(`steady-one-${deploymentId}`))
    await installation.start(ENV)
    assert.equal((await installation.fetch('steady-one.localhost')).body, 'steady')
    await deleteApp(appId)
  })
})

describe('a process that is asked to stop', () => {
  test('answers API and apps while a build ends, takes commands for the next worker, and says so', async () => {
    await using installation = await Installation.create()
    const { port } = installation
    const server = await installation.start({ ...ENV, STOP_GRACE_SECONDS: '600' })
    using repository = new TestRepository(webApp('before'))
    const { appId, deploymentId: first } = await createApp(port, {
      name: 'draining',
      repoUrl: repository.url,
    })
    await followLog(port, first)
    await until(async () => (await installation.fetch('draining.localhost')).body === 'before')
    using slow = new TestRepository(webApp('slow', [slowStep(600)]))
    const { deploymentId: second } = await createApp(port, { name: 'slow', repoUrl: slow.url })
    await followLog(port, second, 0, (events) => /step one/.test(JSON.stringify(events)))

    const stopped = server.stop('SIGTERM')
    await until(() => /stopping; send the signal again/.test(server.output))
    const ready = await fetch(`http://127.0.0.1:${port}/ready`)
    assert.deepEqual([ready.status, await ready.json()], [503, { ready: false, draining: true }])
    assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200)
    assert.equal((await installation.fetch('draining.localhost')).body, 'before')
    const later = await deploy(port, appId)
    // It ends the build, and nothing else would.
    await graphql(port, 'mutation ($id: ID!) { cancelDeployment(id: $id) { id } }', { id: second })
    await stopped
    assert.equal(server.child.exitCode, 0, server.output)
    const sql = 'SELECT id, status FROM deployment WHERE id = ANY($1)'
    const rows = await onDatabase(installation.database.url, sql, [[second, later]])
    const statuses = new Map(rows.map(({ id, status }) => [id, status]))
    assert.deepEqual([statuses.get(second), statuses.get(later)], ['CANCELLED', 'PENDING'])

    await installation.start(ENV)
    assert.equal((await followLog(port, later)).at(-1)?.end?.status, 'RUNNING')
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
  })

  test('ends within its time, hands its deployment back, and leaves the apps serving', async () => {
    await using installation = await Installation.create()
    const { port } = installation
    const server = await installation.start({ ...ENV, STOP_GRACE_SECONDS: '1' })
    using repository = new TestRepository(webApp('before'))
    const { appId, deploymentId: first } = await createApp(port, {
      name: 'stopping',
      repoUrl: repository.url,
    })
    await followLog(port, first)
    repository.commit(webApp('afterwards', [slowStep(4)]))
    const second = await deploy(port, appId)
    await followLog(port, second, 0, (events) => /step one/.test(JSON.stringify(events)))

    const viewer = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws')
    await once(viewer, 'open')
    viewer.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${TOKEN}` } }))
    await once(viewer, 'message')
    const closed = once(viewer, 'close') as Promise<[code: number]>

    const milliseconds = await server.stop('SIGTERM')
    assert.equal((await closed)[0], 1001, 'going away')
    assert.ok(milliseconds < 30_000, `it took ${milliseconds} ms`)
    assert.equal(server.child.exitCode, 0, server.output)
    assert.ok(await isRunning(`stopping-${first}`))

    await installation.start(ENV)
    const events = await followLog(port, second)
    assert.equal(events.at(-1)?.end?.status, 'RUNNING')
    assert.match(events.map((event) => event.text).join(''), /Back in the queue: this worker is stopping/)
    // The log may say it a moment before the router has read it.
    await until(async () => (await installation.fetch('stopping.localhost')).body === 'afterwards')
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
  })
})
