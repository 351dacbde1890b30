import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp, deploy, followLog, graphql, readDeployment, updateStage } from '../support/client.js'
import { BASE_IMAGE, TestRepository } from '../support/repository.js'
import { Installation } from '../support/server.js'

/** Greets whoever connects, and waits for more. BusyBox' nc takes further connections with -ll. */
const SMTP = "busybox nc -ll -p 1025 -e /bin/busybox sh -c 'echo 220 mail ready; exec busybox cat >/dev/null'"
const HTTP = (port: number) => `busybox httpd -f -p ${port} -h /www`

describe('an app as it comes', () => {
  let installation: Installation

  before(async () => {
    installation = await Installation.create()
    await installation.start()
  })
  after(() => installation[Symbol.asyncDispose]())

  function deployed(name: string, expose: string, script: string, input: object = {}) {
    const command = JSON.stringify(['/bin/busybox', 'sh', '-c', script])
    return deployImage(name, `FROM ${BASE_IMAGE}\nCOPY www /www\n${expose}\nCMD ${command}\n`, input)
  }

  async function deployImage(name: string, Dockerfile: string, input: object = {}) {
    using repository = new TestRepository({ Dockerfile, 'www/index.html': name })
    const { port } = installation
    const { deploymentId } = await createApp(port, { name, repoUrl: repository.url, ...input })
    const log = (await followLog(port, deploymentId)).map((event) => event.text).join('')
    const chosen = await graphql<{ deployment: { port: number | null } }>(
      port,
      'query ($id: ID!) { deployment(id: $id) { port } }',
      { id: deploymentId },
    )
    return {
      ...(await readDeployment(port, deploymentId)),
      id: deploymentId,
      port: chosen.deployment.port,
      log,
    }
  }

  test('is served on the one that it listens on, where its image exposes none', async () => {
    const { status, port, log } = await deployed('unexposed', '', `sleep 1; exec ${HTTP(3000)}`)
    assert.equal(status, 'RUNNING', log)
    assert.equal(port, 3000)
    assert.match(log, /It answers on port 3000: using that/)
    assert.equal((await installation.fetch('unexposed.localhost')).body, 'unexposed')
  })

  test('is served on a usual one, where its image has no program that could tell', async () => {
    const command = '["/srv/httpd", "-f", "-p", "3000", "-h", "/www"]'
    // BusyBox is the program that it is called by.
    const copies = 'COPY --from=base /bin/busybox /srv/httpd\nCOPY www /www'
    const Dockerfile = `FROM ${BASE_IMAGE} AS base\nFROM scratch\n${copies}\nCMD ${command}\n`
    const { status, port, log } = await deployImage('bare', Dockerfile)
    assert.equal(status, 'RUNNING', log)
    assert.equal(port, 3000)
  })

  test('is served on the exposed one that speaks HTTP', async () => {
    const script = `${SMTP} & exec ${HTTP(8025)}`
    const { status, port, log } = await deployed('mail', 'EXPOSE 1025 8025', script)
    assert.equal(status, 'RUNNING', log)
    assert.equal(port, 8025)
    assert.equal((await installation.fetch('mail.localhost')).body, 'mail')
  })

  test('runs the arguments that its ENTRYPOINT wants, as long as its stage says them', async () => {
    const Dockerfile = `FROM ${BASE_IMAGE}\nCOPY www /www\nEXPOSE 8080\nENTRYPOINT ["/bin/busybox"]\n`
    using repository = new TestRepository({ Dockerfile, 'www/index.html': 'usage' })
    const command = ['httpd', '-f', '-p', '8080', '-h', '/www']
    const { port } = installation
    const made = await createApp(port, { name: 'usage', repoUrl: repository.url, command })
    const logOf = async (id: string) => (await followLog(port, id)).map((event) => event.text).join('')
    const log = await logOf(made.deploymentId)
    assert.equal((await readDeployment(port, made.deploymentId)).status, 'RUNNING', log)
    assert.equal((await installation.fetch('usage.localhost')).body, 'usage')
    const query = '{ app(name: "usage") { stage { command } } }'
    const read = () => graphql<{ app: { stage: { command: string[] | null } } }>(port, query)
    assert.deepEqual((await read()).app.stage.command, command)
    await updateStage(port, made.appId, { command: null })
    assert.equal((await read()).app.stage.command, null)
    // Without arguments it says how it is used, and ends.
    assert.match(await logOf(await deploy(port, made.appId)), /multi-call binary/)
    assert.equal((await installation.fetch('usage.localhost')).body, 'usage')
  })

  test('runs with warnings where its page is an error, and its data is lost', async () => {
    const notFound = 'printf "HTTP/1.1 500 Oops\\r\\nConnection: close\\r\\n\\r\\n"'
    const script = `exec busybox nc -ll -p 8080 -e busybox sh -c '${notFound}'`
    const { status, log, id } = await deployed('odd', 'EXPOSE 8080\nVOLUME /data /cache', script)
    assert.equal(status, 'RUNNING', log)
    const query = 'query ($id: ID!) { deployment(id: $id) { warnings } }'
    const { deployment } = await graphql<{ deployment: { warnings: string[] } }>(installation.port, query, {
      id,
    })
    const [volumes, page, ...more] = deployment.warnings
    assert.match(
      volumes ?? '',
      /^the image declares volumes \(\/cache, \/data\): what the app writes there is lost/,
    )
    assert.match(page ?? '', /^GET \/ answers 500 for the host odd\.localhost/)
    assert.deepEqual(more, [])
    for (const warning of deployment.warnings) assert.ok(log.includes(`Warning: ${warning}`), log)
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

  test('is told what its only port answered, where that is not HTTP', async () => {
    const { status, error } = await deployed('smtp', 'EXPOSE 1025', `exec ${SMTP}`)
    assert.deepEqual([status, error?.code], ['FAILED', 'ROUTER_UNREACHABLE'])
    assert.match(
      error?.message ?? '',
      /: GET \/ for host smtp-\S+ at [\d.]+:1025 was answered by bytes that are not HTTP: "220 mail ready"/,
    )
  })

  test('is told the same by a check of a path', async () => {
    const health = { healthCheck: { path: '/up', deadlineSeconds: 2 } }
    const { error } = await deployed('checked', 'EXPOSE 1025', `exec ${SMTP}`, health)
    assert.equal(error?.code, 'UNHEALTHY')
    assert.match(
      error.message,
      /GET \/up on port 1025; the request was answered by .* not HTTP: "220 mail ready"/,
    )
  })

  test('is told where it listens, where its own check passes and nothing listens on its port', async () => {
    const check = 'HEALTHCHECK CMD ["/bin/busybox", "true"]'
    const { status, error } = await deployed('elsewhere', `EXPOSE 8080\n${check}`, `exec ${HTTP(5000)}`)
    assert.deepEqual([status, error?.code], ['FAILED', 'ROUTER_UNREACHABLE'])
    assert.match(
      error?.message ?? '',
      /:8080 was refused: nothing listens there; it listens on \S+:5000: set the app's port/,
    )
  })
})
