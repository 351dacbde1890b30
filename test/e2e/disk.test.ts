import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { createApp, deploy, followLog, graphql, readDeployment } from '../support/client.js'
import { cannotStartDaemon, DockerDaemon } from '../support/docker-daemon.js'
import { TestRepository, webApp } from '../support/repository.js'
import { Installation, type ServerProcess } from '../support/server.js'

const ENV = { POLL_SECONDS: '1' }
const TMPFS_MIB = 64

/**
 * Needs root, to mount a tmpfs, and a Docker engine of its own: the guard frees the engine's build cache before it
 * refuses, and that of the machine's engine is somebody's.
 */
describe('a disk that is nearly full', { skip: cannotStartDaemon() }, () => {
  let daemon: DockerDaemon
  let installation: Installation
  let server: ServerProcess
  let repository: TestRepository
  let port = 0
  let appId = ''

  before(async () => {
    daemon = await DockerDaemon.start()
    installation = await Installation.create()
    port = installation.port
    repository = new TestRepository(webApp('there was room'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${TMPFS_MIB}m`, 'tmpfs', installation.dataDir])
  })
  after(async () => {
    for (const one of installation.processes) await one.kill()
    execFileSync('umount', [installation.dataDir])
    await installation[Symbol.asyncDispose]()
    await daemon[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  test('with the default bound: FAILED with DISK_LOW, which names the folder and what to free', async () => {
    server = await installation.start({ ...ENV, DOCKER_HOST: daemon.host })
    const created = await createApp(port, { name: 'no-room', repoUrl: repository.url })
    appId = created.appId
    await followLog(port, created.deploymentId)
    const { status, error } = await readDeployment(port, created.deploymentId)
    assert.equal(status, 'FAILED')
    assert.equal(error?.code, 'DISK_LOW')
    assert.equal(error.phase, 'BUILDING')
    const [, folder, mebibytes] =
      /^(\S+) has (\d+) MiB left, and a build needs 512 MiB/.exec(error.message) ?? []
    assert.equal(folder, installation.dataDir)
    assert.ok(Number(mebibytes) <= TMPFS_MIB, error.message)
    for (const word of ['MIN_FREE_DISK_MIB', 'delete apps', 'KEEP_RELEASES', 'docker image prune'])
      assert.ok(error.message.includes(word), `${word} is not in: ${error.message}`)
    assert.equal(daemon.docker('ps', '-aq') + daemon.docker('images', '-q', 'mvp-no-room'), '')
  })

  test('with a bound below what is left it runs', async () => {
    await server.stop()
    await installation.start({ ...ENV, DOCKER_HOST: daemon.host, MIN_FREE_DISK_MIB: '1' })
    const events = await followLog(port, await deploy(port, appId))
    assert.equal(events.at(-1)?.end?.status, 'RUNNING')
    assert.equal((await installation.fetch('no-room.localhost')).body, 'there was room')
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
  })
})
