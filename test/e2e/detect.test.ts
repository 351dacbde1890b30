import assert from 'node:assert/strict'
import { get, type IncomingHttpHeaders } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { BaseImages, noPython } from '../support/base-images.js'
import { createApp, followLog, readDeployment } from '../support/client.js'
import { docker } from '../support/docker.js'
import { TestRepository } from '../support/repository.js'
import { Installation } from '../support/server.js'

const NODE_SERVER = `require('node:http')
  .createServer((_request, answer) => answer.end(require('node:fs').readFileSync('built.txt') + ' as ' + process.getuid()))
  .listen(process.env.PORT)`
const PYTHON_SERVER = `
import http.server, os, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(f'{sys.prefix} as {os.getuid()}'.encode())
http.server.HTTPServer(('', int(os.environ['PORT'])), Page).serve_forever()
`

/** Repositories of the shape that samples of the field have, without a Dockerfile. Base images: see their file. */
describe('a repository without a Dockerfile', () => {
  let installation: Installation
  let images: BaseImages
  let port = 0
  before(async () => {
    images = new BaseImages()
    images.node('20')
    images.go()
    images.rust('1')
    installation = await Installation.create()
    port = installation.port
    await installation.start(images.settings)
  })
  after(() => installation[Symbol.asyncDispose]())

  async function deployed(name: string, files: Record<string, string>, input: object = {}): Promise<string> {
    using repository = new TestRepository(files)
    const { deploymentId } = await createApp(port, { name, repoUrl: repository.url, ...input })
    const log = (await followLog(port, deploymentId)).map((event) => event.text).join('')
    assert.equal((await readDeployment(port, deploymentId)).status, 'RUNNING', log)
    assert.match(log, /^No Dockerfile: detected /m)
    assert.match(log, /^ {4}FROM longshore-test\//m)
    assert.match(log, /^ {4}USER \d+:\d+$/m)
    assert.equal(repository.git('status', '--porcelain'), '')
    return log
  }
  const page = async (name: string, path = '/') => (await installation.fetch(`${name}.localhost`, path)).body

  test('of Node.js is installed, built and started by a user without rights', async () => {
    const scripts = { build: 'node build.js', start: 'node server.js' }
    const manifest = { name: 'sample', version: '1.0.0', scripts, engines: { node: '20.x' } }
    const lock = {
      name: 'sample',
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: { '': manifest },
    }
    const secret = 'known-to-the-build-4711'
    const input = {
      buildArgs: [{ key: 'GREETING', value: 'hello' }],
      variables: [{ key: 'TOKEN', value: secret, buildSecret: true }],
    }
    const files = {
      'package.json': JSON.stringify(manifest),
      'package-lock.json': JSON.stringify(lock),
      'build.js': `require('node:fs').writeFileSync('built.txt', process.env.GREETING + ' ' + process.env.TOKEN.length)`,
      'server.js': NODE_SERVER,
      '.env': 'SECRET=1',
    }
    const log = await deployed('node', files, input)
    assert.match(log, /^ {4}RUN --mount=type=secret,id=TOKEN export TOKEN=.* CI=true npm ci$/m)
    assert.match(log, /^Not sent to the build: \.env\. /m)
    assert.equal(await page('node'), `hello ${secret.length} as 1000`)
    const [id] = (await installation.containers()).filter((name) => name.startsWith('node-'))
    const sent = docker('exec', id ?? '', 'ls', '-a', '/app').split('\n')
    assert.ok(sent.includes('server.js') && !sent.includes('.env'), sent.join())
  })

  test('of pages made by Node.js is served as files', async () => {
    const build = 'mkdir -p out/browser && cd out/browser && echo made > index.html && echo x > .htpasswd'
    const architect = { build: { builder: '@angular/build:application', options: { outputPath: 'out' } } }
    const files = {
      'package.json': JSON.stringify({ scripts: { start: 'ng serve', build }, engines: { node: '20' } }),
      'angular.json': JSON.stringify({ projects: { site: { architect } } }),
    }
    await deployed('pages', files)
    assert.equal((await page('pages')).trim(), 'made')
    assert.equal((await page('pages', '/a/deep/link')).trim(), 'made')
    assert.equal((await page('pages', '/.htpasswd')).trim(), 'made', 'a hidden file is served')
  })

  test('of Python is installed and started by a user without rights', { skip: noPython() }, async () => {
    images.python('3.11')
    await deployed('python', {
      'requirements.txt': '# nothing that would have to be fetched\n',
      '.python-version': '3.11\n',
      Procfile: 'web: python server.py\n',
      'server.py': PYTHON_SERVER,
    })
    assert.equal(await page('python'), '/venv as 1000')
  })

  test('of Go is compiled in one image and runs in another', async () => {
    await deployed('go', { 'go.mod': 'module x/y\n', 'main.go': 'package main\n', 'index.html': 'go page' })
    assert.equal(await page('go'), 'go page')
  })

  test('of Rust is compiled in one image and runs in another', async () => {
    const manifest = '[package]\nname = "web"\nversion = "0.1.0"\n'
    await deployed('rust', {
      'Cargo.toml': manifest,
      'src/main.rs': 'fn main() {}',
      'index.html': 'rust page',
    })
    assert.equal(await page('rust'), 'rust page')
  })

  test('of files is served compressed, without what is hidden, in a folder of it', async () => {
    const text = 'a page that is long enough to be compressed '.repeat(50)
    const files = {
      'site/index.html': text,
      'site/404.html': 'not here',
      'site/a/module.mjs': 'export {}',
      'site/.htpasswd': 'x',
      'site/a/.htpasswd': 'x',
      'site/a/.env': 'x',
      '.gitmodules': '',
      'site/.well-known/security.txt': 'contact',
    }
    const log = await deployed('files', files, { contextPath: 'site' })
    assert.doesNotMatch(log, /Submodules are not fetched/, 'there are none')
    assert.equal(await page('files'), text)
    assert.equal(await page('files', '/.well-known/security.txt'), 'contact')
    for (const path of ['/nothing', '/.htpasswd', '/a/.htpasswd', '/a/.env', '/Dockerfile']) {
      assert.deepEqual(
        await installation.fetch('files.localhost', path),
        { status: 404, body: 'not here' },
        path,
      )
    }
    const headersOf = (path: string) =>
      new Promise<IncomingHttpHeaders>((resolve, reject) => {
        const headers = { host: 'files.localhost', 'accept-encoding': 'gzip' }
        get({ host: '127.0.0.1', port: installation.routerPort, path, headers, agent: false }, (answer) => {
          answer.resume()
          resolve(answer.headers)
        }).on('error', reject)
      })
    assert.equal((await headersOf('/'))['content-encoding'], 'gzip')
    assert.equal((await headersOf('/a/module.mjs'))['content-type'], 'text/javascript')
  })

  test('that nobody knows says what was looked for', async () => {
    using repository = new TestRepository({ 'README.md': 'x' })
    const { deploymentId } = await createApp(port, { name: 'unknown', repoUrl: repository.url })
    await followLog(port, deploymentId)
    const { error } = await readDeployment(port, deploymentId)
    assert.equal(error?.code, 'DOCKERFILE_NOT_FOUND')
    assert.match(error.message, /package\.json .*go\.mod .*index\.html .*dockerfilePath/)
  })

  test('but with a dockerfilePath of its own is not guessed at', async () => {
    using repository = new TestRepository({ 'index.html': 'x' })
    const input = { name: 'named', repoUrl: repository.url, dockerfilePath: 'docker/Dockerfile' }
    const { deploymentId } = await createApp(port, input)
    await followLog(port, deploymentId)
    assert.equal((await readDeployment(port, deploymentId)).error?.code, 'DOCKERFILE_NOT_FOUND')
  })
})
