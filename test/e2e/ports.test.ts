import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp, followLog, graphql, readDeployment } from '../support/client.js'
import { BASE_IMAGE, TestRepository } from '../support/repository.js'
import { Installation } from '../support/server.js'

const SMTP = 'busybox nc -lk -p 1025 -e busybox echo 220 mail ready'
const HTTP = (port: number) => `busybox httpd -f -p ${port} -h /www`

describe('an app whose port nobody has set', () => {
  let installation: Installation

  before(async () => {
    installation = await Installation.create()
    await installation.start()
  })
  after(() => installation[Symbol.asyncDispose]())

  async function deployed(name: string, expose: string, script: string) {
    const command = JSON.stringify(['/bin/busybox', 'sh', '-c', script])
    const Dockerfile = `FROM ${BASE_IMAGE}\nCOPY www /www\n${expose}\nCMD ${command}\n`
    using repository = new TestRepository({ Dockerfile, 'www/index.html': name })
    const { port } = installation
    const { deploymentId } = await createApp(port, { name, repoUrl: repository.url })
    const log = (await followLog(port, deploymentId)).map((event) => event.text).join('')
    const chosen = await graphql<{ deployment: { port: number | null } }>(
      port,
      'query ($id: ID!) { deployment(id: $id) { port } }',
      { id: deploymentId },
    )
    return { ...(await readDeployment(port, deploymentId)), port: chosen.deployment.port, log }
  }

  test('is served on the one that it listens on, where its image exposes none', async () => {
    const { status, port, log } = await deployed('unexposed', '', `sleep 1; exec ${HTTP(3000)}`)
    assert.equal(status, 'RUNNING', log)
    assert.equal(port, 3000)
    assert.match(log, /It answers on port 3000: using that/)
    assert.equal((await installation.fetch('unexposed.localhost')).body, 'unexposed')
  })

  test('is served on the exposed one that speaks HTTP', async () => {
    const script = `${SMTP} & exec ${HTTP(8025)}`
    const { status, port, log } = await deployed('mail', 'EXPOSE 1025 8025', script)
    assert.equal(status, 'RUNNING', log)
    assert.equal(port, 8025)
    assert.equal((await installation.fetch('mail.localhost')).body, 'mail')
  })

  test('is told at once that nobody reaches it, where it listens inside its container alone', async () => {
    const { status, error } = await deployed(
      'inside',
      'EXPOSE 8080',
      'exec busybox httpd -f -p 127.0.0.1:8080 -h /www',
    )
    assert.equal(status, 'FAILED')
    assert.equal(error?.code, 'UNHEALTHY')
    // The deadline, of which the message would tell, is a minute.
    assert.match(
      error.message,
      /^the container cannot be reached: it listens on 127\.0\.0\.1:8080, must be 0\.0\.0\.0:8080/,
    )
  })
})
