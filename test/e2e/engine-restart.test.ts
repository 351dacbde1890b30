import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp, followLog, readDeployment } from '../support/client.js'
import { cannotStartDaemon, DockerDaemon } from '../support/docker-daemon.js'
import { BASE_IMAGE, slowStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const ENV = { POLL_SECONDS: '1' }

describe('a Docker engine that is killed', { skip: cannotStartDaemon() }, () => {
  let daemon: DockerDaemon
  let installation: Installation
  let port = 0

  before(async () => {
    daemon = await DockerDaemon.start()
    installation = await Installation.create()
    port = installation.port
    await installation.start({ ...ENV, DOCKER_HOST: daemon.host })
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    await daemon[Symbol.asyncDispose]()
  })

  test('in the middle of a build: the deployment waits, is built again, and runs once', async () => {
    using repository = new TestRepository(webApp('built again', [slowStep(2)]))
    const { deploymentId } = await createApp(port, { name: 'rebuilt', repoUrl: repository.url })
    await followLog(port, deploymentId, 0, (events) => events.some(({ text }) => text.includes('step one\n')))
    await daemon.kill()
    await until(async () => (await readDeployment(port, deploymentId)).status === 'PENDING')
    assert.notEqual((await installation.fetch('rebuilt.localhost')).status, 200)

    await daemon.up()
    const events = await followLog(port, deploymentId)
    const log = events.map((event) => event.text).join('')
    assert.equal(events.at(-1)?.end?.status, 'RUNNING', log)
    assert.match(log, /Back in the queue: /)
    assert.equal(events.filter(({ end }) => end !== null).length, 1, 'it ends once')
    assert.equal((await installation.fetch('rebuilt.localhost')).body, 'built again')
    assert.equal(daemon.docker('ps', '-a', '--format', '{{.Names}}'), `rebuilt-${deploymentId}`)
  })

  test('while an app serves: it serves again by itself, although its address is another', async () => {
    // It has the address that is free again, and the app's, after the restart.
    const squatter = ['--name', 'squatter', '--network', 'longshore', BASE_IMAGE]
    daemon.docker('run', '-d', ...squatter, '/bin/busybox', 'sleep', '999')
    using repository = new TestRepository(webApp('steady'))
    const { deploymentId } = await createApp(port, { name: 'steady', repoUrl: repository.url })
    await followLog(port, deploymentId)
    const name = `steady-${deploymentId}`
    const before = addressOf(name)
    daemon.docker('rm', '-f', 'squatter')

    await daemon.kill()
    assert.equal(
      (await installation.fetch('steady.localhost')).body,
      'steady',
      'it runs on without its engine',
    )
    await daemon.up()
    await until(() => addressOf(name) !== '' && addressOf(name) !== before)
    await until(async () => (await ask('steady.localhost')) === 'steady')
    assert.equal((await readDeployment(port, deploymentId)).status, 'RUNNING')
    assert.equal(daemon.docker('ps', '-aq', '--filter', 'name=steady-').split('\n').length, 1)
  })

  /** Empty: there is none, or no such container while it is made again. */
  function addressOf(name: string): string {
    try {
      return daemon.docker('inspect', '--format', '{{.NetworkSettings.Networks.longshore.IPAddress}}', name)
    } catch {
      return ''
    }
  }

  async function ask(host: string): Promise<string> {
    const { body } = await installation.fetch(host).catch(() => ({ body: '' }))
    return body
  }
})
