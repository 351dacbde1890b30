import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { createApp, deploy, followLog, readDeployment, readEvents } from '../support/client.js'
import { BASE_IMAGE, freshStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, type ServerProcess } from '../support/server.js'
import { type BadEntry, blob, commitTree, entriesOf, tree } from '../support/trees.js'

const MIB = 1024 * 1024
/** Makes the server throw where nobody waits, at a signal. */
const FAULT = `--import=data:text/javascript,process.on('SIGUSR2',()=>setTimeout(()=>{throw(new(Error)('unawaited'))}))`
const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'4'.repeat(64)}\nsize 12345\n`
const SERVE = 'EXPOSE 8080\nCMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]\n'
/** Serves all that it is given, and a list of the modes. */
function everything(): string {
  const list = freshStep(
    'cd /www; busybox find . -exec busybox stat -c "%a %n" {} + > /modes; mv /modes modes',
  )
  return `FROM ${BASE_IMAGE}\nCOPY . /www\nRUN ${JSON.stringify(['/bin/busybox', 'sh', '-c', list])}\n${SERVE}`
}

/** What a stranger commits decides on that stranger's deployment and on nothing else. */
describe('a poisonous repository', () => {
  let installation: Installation
  let server: ServerProcess
  let port = 0
  let appId = ''
  const repository = new TestRepository(webApp('steady'))

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    server = await installation.start({
      MAX_CONTEXT_MIB: '16',
      MAX_CONTEXT_FILES: '2000',
      NODE_OPTIONS: FAULT,
    })
    const created = await createApp(port, { name: 'steady', repoUrl: repository.url })
    appId = created.appId
    await followLog(port, created.deploymentId)
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  async function deployTree(branch: string, entries: readonly BadEntry[]) {
    commitTree(repository, branch, tree(repository, entries))
    const id = await deploy(port, appId, { ref: branch })
    const log = (await followLog(port, id)).map(({ text }) => text).join('')
    return { id, log, error: (await readDeployment(port, id)).error }
  }
  const app = () => entriesOf(repository, webApp('steady', [freshStep('true')]))
  const entry = (name: string, content: Buffer | string = 'text', mode: BadEntry['mode'] = '100644') => {
    return { mode, name, id: mode === '160000' ? '1'.repeat(40) : blob(repository, content) }
  }

  const folder = (name: string, inner: readonly BadEntry[]): BadEntry => {
    return { mode: '40000', name, id: tree(repository, inner) }
  }
  let bomb = Array.from({ length: 10 }, (_, index) => entry(`f${index}`))
  for (let level = 0; level < 9; level++) {
    const inner = bomb
    bomb = Array.from({ length: 10 }, (_, index) => folder(`d${index}`, inner))
  }
  const POISON: Record<string, [more: BadEntry[], code: string, message: RegExp]> = {
    dots: [[entry('..')], 'REPO_INVALID', /^"\.\." in the repository .* Remove it from the commit/],
    absolute: [[entry('/abs')], 'REPO_INVALID', /^"\/abs" /],
    'git-folder': [[folder('.git', [entry('config')])], 'REPO_INVALID', /^"\.git" /],
    'long-link': [[entry('link', Buffer.alloc(40 * MIB, 'a'), '120000')], 'REPO_INVALID', /^"link" .* 4095/],
    zeros: [
      [entry('zeros', Buffer.alloc(40 * MIB))],
      'CONTEXT_TOO_LARGE',
      /MAX_CONTEXT_MIB.*"zeros" \(40 MiB\)/,
    ],
    pointer: [
      [entry('picture.png', POINTER)],
      'LFS_UNAVAILABLE',
      /"picture\.png": .*HTTPS only.*exclude it with \.dockerignore/,
    ],
    bomb: [bomb, 'CONTEXT_TOO_LARGE', /2000 .*MAX_CONTEXT_FILES/],
  }
  for (const [branch, [more, code, message]] of Object.entries(POISON)) {
    test(`of the kind "${branch}" fails once, with ${code}, and nothing else does`, async () => {
      const { id, error, log } = await deployTree(branch, [...app(), ...more])
      assert.equal(error?.code, code, log)
      assert.match(error.message, message)
      const events = await readEvents(port, id)
      assert.ok(
        !events.some((event) => event.includes('> PENDING') && !event.startsWith(' ')),
        events.join('\n'),
      )
      assert.equal(server.child.exitCode, null, server.output)
      assert.equal((await installation.fetch('steady.localhost')).body, 'steady')
    })
  }

  test('says in the log what its image lacks', async () => {
    const { log, error } = await deployTree('placeholders', [...app(), entry('vendored', '', '160000')])
    assert.equal(error, null, log)
    assert.match(log, /^Warning: Folders that refer to commits .*: vendored$/m)
  })

  test('serves nothing that it ignores, and what it serves has the modes of a checkout', async () => {
    const { log, error } = await deployTree('ignoring', [
      ...entriesOf(repository, {
        Dockerfile: everything(),
        'etc/ignored': '*\n!index.html\n!run\n',
        'index.html': 'page',
        '.env': 'SECRET=1',
      }),
      entry('run', 'x', '100755'),
      entry('.dockerignore', 'etc/ignored', '120000'),
    ])
    assert.equal(error, null, log)
    const body = async (path: string) => (await installation.fetch('steady.localhost', path)).body
    assert.equal(await body('/index.html'), 'page')
    for (const path of ['/Dockerfile', '/.dockerignore', '/.env', '/etc/ignored']) {
      assert.equal((await installation.fetch('steady.localhost', path)).status, 404, path)
    }
    assert.deepEqual((await body('/modes')).trim().split('\n').sort(), [
      '644 ./index.html',
      '755 .',
      '755 ./run',
    ])
  })

  test('is not what it takes to end a process, but whatever does is in its log, and apps go on at the next start', async () => {
    const ended = once(server.child, 'exit')
    server.child.kill('SIGUSR2')
    assert.deepEqual(await ended, [1, null], server.output)
    assert.match(server.output, /error .*unhandled error: this process ends.* error=".*unawaited/)
    await installation.start()
    assert.equal((await installation.fetch('steady.localhost')).status, 200)
  })
})
