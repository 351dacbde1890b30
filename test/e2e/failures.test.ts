import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  createApp,
  deploy,
  type DeploymentState,
  followLog,
  graphql,
  readDeployment,
  updateStage,
} from '../support/client.js'
import { BASE_IMAGE, slowStep, TestRepository, webApp } from '../support/repository.js'
import { Installation } from '../support/server.js'

const page = { 'www/index.html': 'page' }

/** How a deployment ends that cannot succeed: its code, its phase, what to do next, and nothing left over. */
describe('a deployment that cannot succeed', () => {
  let installation: Installation
  let port = 0
  let count = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start()
  })
  after(() => installation[Symbol.asyncDispose]())

  async function failed(
    files: Record<string, string>,
    input: object = {},
    change: (repository: TestRepository) => void = () => undefined,
  ): Promise<NonNullable<DeploymentState['error']> & { log: string }> {
    using repository = new TestRepository(files)
    change(repository)
    const name = `failing-${count++}`
    const { deploymentId } = await createApp(port, { name, repoUrl: repository.url, ...input })
    const events = await followLog(port, deploymentId)
    const deployment = await readDeployment(port, deploymentId)
    assert.equal(deployment.status, 'FAILED')
    assert.equal(events.at(-1)?.end?.status, 'FAILED')
    assert.ok(deployment.error)
    const left = [...(await installation.containers()), ...(await installation.images())]
    assert.deepEqual(left, [], 'a container or an image is left')
    return { ...deployment.error, log: events.map((event) => event.text).join('') }
  }

  test('a repository that does not exist: REPO_NOT_FOUND while CLONING', async () => {
    const error = await failed(page, { repoUrl: 'file:///no/such/repository' })
    assert.equal(error.code, 'REPO_NOT_FOUND')
    assert.equal(error.phase, 'CLONING')
  })

  test('a branch that does not exist: REF_NOT_FOUND names it', async () => {
    const error = await failed(webApp('page'), { branch: 'no-such-branch' })
    assert.equal(error.code, 'REF_NOT_FOUND')
    assert.match(error.message, /no-such-branch/)
  })

  test('no Dockerfile: DOCKERFILE_NOT_FOUND says what to add', async () => {
    const error = await failed(page)
    assert.equal(error.code, 'DOCKERFILE_NOT_FOUND')
    assert.match(error.message, /add a Dockerfile or set dockerfilePath/)
  })

  test('a Dockerfile that is a symbolic link out of the repository is not followed', async () => {
    const error = await failed({ 'README.md': 'x' }, {}, (repository) => {
      repository.link('Dockerfile', '../../../etc/passwd')
      repository.commit({})
    })
    assert.equal(error.code, 'DOCKERFILE_NOT_FOUND')
    assert.match(error.message, /symbolic link/)
  })

  test('a context that is a symbolic link is not followed', async () => {
    const error = await failed(webApp('page'), { contextPath: 'outside' }, (repository) => {
      repository.link('outside', '/etc')
      repository.commit({})
    })
    assert.equal(error.code, 'CONTEXT_NOT_FOUND')
  })

  test('a build step that fails: BUILD_FAILED with its exit code and last lines, in the log too', async () => {
    const error = await failed(webApp('page', ['echo before; echo the reason >&2; exit 7']))
    assert.equal(error.code, 'BUILD_FAILED')
    assert.equal(error.phase, 'BUILDING')
    assert.equal(error.exitCode, 7)
    assert.ok(error.lastLines.includes('the reason'))
    assert.match(error.log, /^the reason$/m)
    assert.match(error.log, /^Failed: /m)
  })

  test('a Dockerfile that does not parse: BUILD_FAILED with the engine’s words', async () => {
    const error = await failed({ Dockerfile: 'FRUM scratch\n' })
    assert.equal(error.code, 'BUILD_FAILED')
    assert.match(error.message, /FRUM/)
  })

  test('an image that brings Traefik labels along: FORBIDDEN_LABEL', async () => {
    const files = webApp('page')
    const error = await failed({ ...files, Dockerfile: `${files.Dockerfile}LABEL traefik.enable=true\n` })
    assert.equal(error.code, 'FORBIDDEN_LABEL')
  })

  test('a container that ends before it answers: EXITED with its exit code and last lines', async () => {
    const command = JSON.stringify(['/bin/busybox', 'sh', '-c', 'echo cannot find the config; exit 3'])
    const error = await failed({ Dockerfile: `FROM ${BASE_IMAGE}\nEXPOSE 8080\nCMD ${command}\n` })
    assert.equal(error.code, 'EXITED')
    assert.equal(error.phase, 'STARTING')
    assert.equal(error.exitCode, 3)
    assert.deepEqual(error.lastLines, ['cannot find the config'])
  })

  test('secrets are masked in the log and in the last lines, also when a program prints them', async () => {
    const command = JSON.stringify(['/bin/busybox', 'sh', '-c', 'echo "key=$API_KEY"; exit 1'])
    const secret = 'hunter2-hunter2-hunter2'
    const error = await failed(
      { Dockerfile: `FROM ${BASE_IMAGE}\nEXPOSE 8080\nCMD ${command}\n` },
      { variables: [{ key: 'API_KEY', value: secret }] },
    )
    assert.deepEqual(error.lastLines, ['key=[REDACTED]'])
    assert.doesNotMatch(JSON.stringify(error), new RegExp(secret))
  })

  test('a failed deployment leaves the version before it serving', async () => {
    using repository = new TestRepository(webApp('good'))
    const { appId, deploymentId } = await createApp(port, { name: 'steady', repoUrl: repository.url })
    assert.equal((await followLog(port, deploymentId)).at(-1)?.end?.status, 'RUNNING')
    repository.commit(webApp('bad', ['exit 1']))
    const second = await deploy(port, appId)
    assert.equal((await followLog(port, second)).at(-1)?.end?.status, 'FAILED')
    assert.deepEqual(await installation.fetch('steady.localhost'), { status: 200, body: 'good' })
    assert.equal((await readDeployment(port, deploymentId)).status, 'RUNNING')
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
  })

  test('an app that listens on no port: UNHEALTHY after its deadline, with where it was asked', async () => {
    const command = JSON.stringify(['/bin/busybox', 'sh', '-c', 'echo idle; exec busybox sleep 300'])
    using repository = new TestRepository({ Dockerfile: `FROM ${BASE_IMAGE}\nCMD ${command}\n` })
    const { appId } = await createApp(port, { name: 'silent', repoUrl: repository.url, deploy: false })
    await updateStage(port, appId, { healthCheck: { deadlineSeconds: 2 } })
    const id = await deploy(port, appId)
    await followLog(port, id)
    const { status, error } = await readDeployment(port, id)
    assert.deepEqual([status, error?.code], ['FAILED', 'UNHEALTHY'])
    assert.match(
      error?.message ?? '',
      /not healthy after 2 s: nothing listens on port 80; it listens on no port yet: does it wait/,
    )
    assert.deepEqual(error?.lastLines, ['idle'])
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
  })

  test('a build that says nothing for too long: BUILD_STALLED', async () => {
    // For this one only: on a busy machine any other build is silent for as long.
    for (const server of installation.processes) await server.stop()
    await installation.start({ BUILD_SILENCE_TIMEOUT: '3' })
    const error = await failed(webApp('page', [slowStep(100)]))
    assert.equal(error.code, 'BUILD_STALLED')
    assert.match(error.message, /BUILD_SILENCE_TIMEOUT/)
  })
})
