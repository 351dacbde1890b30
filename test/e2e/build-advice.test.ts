import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp, type DeploymentState, followLog, graphql, readDeployment } from '../support/client.js'
import { BASE_IMAGE, freshStep, TestRepository, webApp } from '../support/repository.js'
import { Installation } from '../support/server.js'

const from = (...lines: string[]) => [`FROM ${BASE_IMAGE}`, ...lines, ''].join('\n')
const run = (script: string) => `RUN ${JSON.stringify(['/bin/busybox', 'sh', '-c', script])}`
const CRLF = '#!/bin/sh\r\necho hi\r\n'

/** What each of these is told of it, beside what the engine says. */
const TOLD: Readonly<Record<string, { files: Record<string, string>; input?: object; says: RegExp }>> = {
  'copies what .dockerignore leaves out': {
    files: { Dockerfile: from('COPY dist /x'), 'dist/a': 'x', '.dockerignore': 'dist\n' },
    says: /"dist" is in the repository, but \.dockerignore leaves it out/,
  },
  'copies what .gitignore has kept from being committed': {
    files: { Dockerfile: from('COPY build/app /x'), '.gitignore': '/build/\n' },
    says: /"build\/app" is not in the commit, as \.gitignore names it/,
  },
  'copies a name in another case': {
    files: { Dockerfile: from('COPY readme.md /x'), 'README.md': 'x' },
    says: /the repository has "README\.md": upper and lower case count/i,
  },
  'copies what is outside of its context': {
    files: { 'web/Dockerfile': from('COPY shared /x'), 'shared/a': 'x' },
    input: { contextPath: 'web' },
    says: /"shared" is in the repository, but outside of contextPath "web"/,
  },
  'copies what is nowhere': {
    files: { Dockerfile: from('COPY nope.txt /x'), 'docs/nope.txt': 'x' },
    says: /"nope\.txt" is not in the commit; there is a "docs\/nope\.txt"/,
  },
  'mounts a secret that nobody has set': {
    files: { Dockerfile: from('RUN --mount=type=secret,id=TOK,required=true ["/bin/busybox", "true"]') },
    says: /Set TOK as a variable of the stage with buildSecret: true/,
  },
  'mounts a secret that is a variable of its containers': {
    files: { Dockerfile: from('RUN --mount=type=secret,id=TOK,required=true ["/bin/busybox", "true"]') },
    input: { variables: [{ key: 'TOK', value: 'a-value-of-it' }] },
    says: /TOK is a variable of the stage that builds do not get/,
  },
  'asks for a stage that is not there': {
    files: { Dockerfile: `FROM ${BASE_IMAGE} AS page\nFROM ${BASE_IMAGE} AS web\n` },
    input: { target: 'moon' },
    says: /has the stages page, web: set the app's target/,
  },
  'runs a script with Windows line endings': {
    files: { Dockerfile: from('COPY a.sh /a.sh', run('chmod +x /a.sh; /a.sh')), 'a.sh': CRLF },
    says: /A\.sh has Windows line endings \(CRLF\)/i,
  },
  'runs a script whose interpreter the image does not have': {
    files: {
      Dockerfile: from('COPY a.sh /a.sh', run('chmod +x /a.sh; /a.sh')),
      'a.sh': '#!/usr/bin/zsh\n',
    },
    says: /A\.sh begins with "#!\/usr\/bin\/zsh", which the image does not have/i,
  },
  'has a Containerfile': {
    files: { Containerfile: 'FROM scratch\n' },
    says: /there is Containerfile: set dockerfilePath to "Containerfile"/,
  },
  'has a Dockerfile whose name is in lower case': {
    files: { dockerfile: 'FROM scratch\n' },
    says: /there is dockerfile: set dockerfilePath to "dockerfile"/,
  },
  'is of a language that needs one, which is said once': {
    files: { 'composer.json': '{}', 'index.php': '' },
    says: /^(?!.*[Aa]dd a Dockerfile.*[Aa]dd a Dockerfile).*add a Dockerfile/,
  },
  'has a Dockerfile of another name than it says': {
    files: { Containerfile: from(), 'x.Dockerfile': from() },
    input: { dockerfilePath: 'docker/Dockerfile' },
    says: /"docker\/Dockerfile" is missing in the repository; there is Containerfile, x\.Dockerfile: set dockerfilePath/,
  },
}

/** On the engine that is here, of whichever age. */
describe('a build or a start that fails', () => {
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

  for (const [what, { files, input, says }] of Object.entries(TOLD)) {
    test(`a build that ${what} is told what to do`, async () => {
      const { code, message } = await failed(files, input)
      assert.ok(['BUILD_FAILED', 'DOCKERFILE_NOT_FOUND'].includes(code), code)
      assert.match(message, says)
    })
  }

  test('a stage that fails beside a noisy one: its own last lines, and each line says whose it is', async () => {
    // The noisy one ends when the other has failed: BuildKit kills it.
    const noisy = 'i=0; while [ $i -lt 300 ]; do echo noise $i; i=$((i+1)); done; exec busybox sleep 100'
    const error = await failed({
      Dockerfile: [
        `FROM ${BASE_IMAGE} AS noisy`,
        run(freshStep(noisy)),
        `FROM ${BASE_IMAGE} AS failing`,
        run(freshStep('echo the reason; busybox sleep 2; exit 3')),
        `FROM ${BASE_IMAGE}`,
        'COPY --from=noisy /bin/busybox /x',
        'COPY --from=failing /bin/busybox /y',
        '',
      ].join('\n'),
    })
    assert.deepEqual([error.code, error.exitCode, error.lastLines], ['BUILD_FAILED', 3, ['the reason']])
    assert.match(error.log, /^#\d+ \[noisy 2\/2\] RUN/m)
    assert.match(error.log, /^#\d+ noise 299$/m)
  })

  test('a commit and a step cannot forge lines of the log', async () => {
    const forged = 'Running at http://evil'
    const { log, message } = await failed(
      { Dockerfile: from(run(`${freshStep('exit 4')} # \r${forged}`)) },
      {},
      (repository) => repository.commit({ x: 'y' }, `subject\r${forged}\x1b[2K https://me:hunter22@host/`),
    )
    assert.doesNotMatch(log, new RegExp(`^${forged}`, 'm'))
    assert.doesNotMatch(`${log}${message}`.replaceAll('\n', ''), /\p{Cc}|hunter22/u)
    assert.match(log, new RegExp(`^Commit [0-9a-f]{40} subject ${forged} https://\\*\\*\\*@host/$`, 'm'))
  })

  test('an image without a command: START_FAILED says what to add', async () => {
    const error = await failed({ Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'x' })
    assert.equal(error.code, 'START_FAILED')
    assert.match(error.message, /neither CMD nor ENTRYPOINT: add CMD/)
  })

  test('a script with Windows line endings that is to start: EXITED says so', async () => {
    const start = from('COPY a.sh /a.sh', run('chmod +x /a.sh'), 'EXPOSE 8080', 'CMD ["/a.sh"]')
    const error = await failed({ Dockerfile: start, 'a.sh': CRLF })
    assert.deepEqual([error.code, error.exitCode], ['EXITED', 127])
    assert.match(error.message, /no \/a\.sh, or its first line .*CRLF/)
  })

  test('a Dockerfile outside of the context and inside of the repository is built', async () => {
    const files = webApp('outer')
    using repository = new TestRepository({
      'docker/web/Dockerfile': files.Dockerfile ?? '',
      'apps/web/www/index.html': 'outer',
    })
    repository.git('branch', '--move', 'feature/日本(ui)')
    const input = {
      branch: 'refs/heads/feature/日本(ui)',
      contextPath: 'apps/web',
      dockerfilePath: '../../docker/web/Dockerfile',
    }
    const { appId, deploymentId } = await createApp(port, {
      name: 'outer',
      repoUrl: repository.url,
      ...input,
    })
    const events = await followLog(port, deploymentId)
    assert.equal(events.at(-1)?.end?.status, 'RUNNING', events.map(({ text }) => text).join(''))
    assert.deepEqual(await installation.fetch('outer.localhost'), { status: 200, body: 'outer' })
    const { app } = await graphql<{ app: object }>(port, 'query ($id: ID!) { app(id: $id) { branch } }', {
      id: appId,
    })
    assert.deepEqual(app, { branch: 'feature/日本(ui)' })
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
  })
})
