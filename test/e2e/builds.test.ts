import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp, deploy, followLog, graphql, readDeployment } from '../support/client.js'
import { docker } from '../support/docker.js'
import { BASE_IMAGE, freshStep, TestRepository } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const shell = (script: string) => JSON.stringify(['/bin/busybox', 'sh', '-c', script])
const SERVE = 'EXPOSE 8080\nCMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]\n'

/** Its page tells what it was built with. */
const STAGES = [
  `FROM --platform=$BUILDPLATFORM ${BASE_IMAGE} AS page`,
  'ARG GREETING=nothing',
  'ARG TARGETARCH',
  `RUN ${shell('mkdir /www; echo -n "$GREETING for $TARGETARCH" > /www/index.html')}`,
  'FROM scratch AS web',
  'COPY --from=page / /',
  SERVE,
  `FROM ${BASE_IMAGE} AS last`,
  `RUN ${shell('mkdir /www; echo -n last > /www/index.html')}`,
  SERVE,
].join('\n')

describe('an app says how it is built', () => {
  let installation: Installation
  let port = 0
  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start()
  })
  after(() => installation[Symbol.asyncDispose]())

  async function ended(deploymentId: string): Promise<string> {
    const events = await followLog(port, deploymentId)
    const log = events.map((event) => event.text).join('')
    assert.equal(events.at(-1)?.end?.status, 'RUNNING', log)
    return log
  }
  const page = async (name: string) => (await installation.fetch(`${name}.localhost`)).body
  const update = (id: string, input: object) =>
    graphql(
      port,
      'mutation ($id: ID!, $input: UpdateAppInput!) { updateApp(id: $id, input: $input) { id } }',
      {
        id,
        input,
      },
    )

  test('target, build arguments and platform reach the build, and can be taken back', async () => {
    using repository = new TestRepository({ Dockerfile: STAGES })
    const buildArgs = [
      { key: 'GREETING', value: 'hello "$you" & more' },
      { key: 'NPM_TOKEN', value: 'x' },
    ]
    const input = { target: 'web', buildArgs, platform: 'linux/arm64' }
    const { appId, deploymentId } = await createApp(port, {
      name: 'stages',
      repoUrl: repository.url,
      ...input,
    })
    const log = await ended(deploymentId)
    assert.equal(await page('stages'), 'hello "$you" & more for arm64')
    assert.match(
      log,
      /^Building Dockerfile in ., target web, platform linux\/arm64, arguments GREETING, NPM_TOKEN$/m,
    )
    assert.match(log, /^Warning: the build argument NPM_TOKEN looks like a secret/m)
    assert.match(docker('inspect', `mvp-stages:${deploymentId}`), /"Architecture": "arm64"/)
    const { app } = await graphql<{ app: object }>(
      port,
      'query ($id: ID!) { app(id: $id) { target platform buildArgs { key value } } }',
      { id: appId },
    )
    assert.deepEqual(app, input)

    await update(appId, { buildArgs: [{ key: 'GREETING', value: 'bye' }], platform: null })
    await ended(await deploy(port, appId))
    assert.match(await page('stages'), /^bye for (amd64|arm64)$/)
    await update(appId, { target: null, buildArgs: null })
    await ended(await deploy(port, appId))
    assert.equal(await page('stages'), 'last')
  })

  test('what the engine clips of the output is said at the end of the log', async () => {
    const lines = 20_000
    const print = `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i ${'x'.repeat(200)}"; done; exit 3`
    using repository = new TestRepository({
      Dockerfile: `FROM ${BASE_IMAGE}\nRUN ${shell(freshStep(print))}\n`,
    })
    const { deploymentId } = await createApp(port, { name: 'talkative', repoUrl: repository.url })
    const events = await followLog(port, deploymentId)
    const text = events.map((event) => event.text).join('')
    const shown = text.match(/^line \d+ x/gm)?.length ?? 0
    const { status, clipped, omittedBytes } = events.at(-1)?.end ?? {}
    // An engine may be set to clip nothing.
    assert.deepEqual([status, clipped, omittedBytes], ['FAILED', shown < lines, 0])
    assert.equal(/clipped this step’s output.*BUILDKIT_STEP_LOG_MAX_SIZE=-1/.test(text), clipped)
  })

  test('a stage that the Dockerfile does not have ends the deployment with its name', async () => {
    using repository = new TestRepository({ Dockerfile: STAGES })
    const { deploymentId } = await createApp(port, {
      name: 'nowhere',
      repoUrl: repository.url,
      target: 'moon',
    })
    await followLog(port, deploymentId)
    const { error } = await readDeployment(port, deploymentId)
    assert.equal(error?.code, 'BUILD_FAILED')
    assert.match(error.message, /moon/)
  })

  test('a commit that is built already is used again, as long as nothing about its build is changed', async () => {
    using repository = new TestRepository({ Dockerfile: STAGES })
    const input = { target: 'web', buildArgs: [{ key: 'GREETING', value: 'one' }] }
    const { appId, deploymentId } = await createApp(port, {
      name: 'again',
      repoUrl: repository.url,
      ...input,
    })
    await ended(deploymentId)
    const imageOf = (id: string) => docker('inspect', '--format', '{{.Id}}', `mvp-again:${id}`)
    const commit = repository.git('rev-parse', 'HEAD')
    const used = `Commit ${commit} was already built with the same settings: using its image as mvp-again:`
    const second = await deploy(port, appId)
    const log = await ended(second)
    assert.ok(log.includes(`${used}${second}`), log)
    assert.doesNotMatch(log, /^Building /m)
    assert.equal(imageOf(second), imageOf(deploymentId))
    assert.match(await page('again'), /^one for /)

    await update(appId, { buildArgs: [{ key: 'GREETING', value: 'two' }] })
    assert.match(await ended(await deploy(port, appId)), /^Building /m)
    assert.match(await page('again'), /^two for /)

    const fresh = await deploy(port, appId, { noCache: true })
    assert.match(await ended(fresh), /^Building /m)
    await update(appId, { buildArgs: [{ key: 'GREETING', value: 'one' }] })
    const back = await deploy(port, appId)
    assert.ok((await ended(back)).includes(`${used}${back}`))
    assert.match(await page('again'), /^one for /)

    repository.commit({ 'README.md': 'more' })
    assert.match(await ended(await deploy(port, appId)), /^Building /m)
  })

  test('a commit whose image is gone is built again', async () => {
    using repository = new TestRepository({ Dockerfile: STAGES })
    const { appId, deploymentId } = await createApp(port, { name: 'gone', repoUrl: repository.url })
    await ended(deploymentId)
    await update(appId, { target: 'web' })
    await ended(await deploy(port, appId))
    await until(async () => !(await installation.containers()).includes(`gone-${deploymentId}`))
    docker('rmi', `mvp-gone:${deploymentId}`)
    await update(appId, { target: null })
    assert.match(await ended(await deploy(port, appId)), /^Building /m)
    assert.equal(await page('gone'), 'last')
  })

  test('what has to be built again is built as it was, not as the app is built now', async () => {
    using repository = new TestRepository({ Dockerfile: STAGES })
    const input = { target: 'web', buildArgs: [{ key: 'GREETING', value: 'before' }] }
    const { appId, deploymentId } = await createApp(port, {
      name: 'pinned',
      repoUrl: repository.url,
      ...input,
    })
    await ended(deploymentId)
    const { app } = await graphql<{ app: { stage: { id: string } } }>(
      port,
      'query ($id: ID!) { app(id: $id) { stage { id } } }',
      { id: appId },
    )
    const on = (command: string) =>
      graphql(port, `mutation ($id: ID!) { ${command}(id: $id) { id } }`, { id: app.stage.id })
    await on('stopStage')
    await until(async () => !(await installation.containers()).some((name) => name.startsWith('pinned-')))
    docker('rmi', `mvp-pinned:${deploymentId}`)
    await update(appId, { target: 'last', buildArgs: [] })
    await on('startStage')
    await until(async () => (await page('pinned')).startsWith('before for '))
  })
})
