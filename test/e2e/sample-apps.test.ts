import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BaseImages, noPython } from '../support/base-images.js'
import { createApp, followLog, readDeployment, readEvents } from '../support/client.js'
import { TestRepository } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const nodeApp = (base: string) => `
FROM ${base} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run build

FROM ${base}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/dist ./dist
USER 1000:1000
EXPOSE 3000
CMD ["node", "dist/server.js"]
`
const pythonApp = (base: string) => `
FROM ${base} AS builder
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

FROM ${base}
WORKDIR /srv
COPY --from=builder /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY app.py .
USER 1000:1000
EXPOSE 8000
CMD ["python", "app.py"]
`
const goApp = (base: string, runtime: string) => `
FROM ${base} AS build
WORKDIR /src
COPY go.mod ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -o /out/server .

FROM ${runtime}
WORKDIR /pages
COPY index.html .
COPY --from=build /out/server /usr/local/bin/server
USER 1000:1000
EXPOSE 8080
CMD ["/usr/local/bin/server"]
`

const NODE_SERVER = `require('node:http').createServer((_, answer) => answer.end('node as ' + process.getuid())).listen(3000)`
const PYTHON_SERVER = `
import http.server, os, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(f'{sys.prefix} as {os.getuid()}'.encode())
http.server.HTTPServer(('', 8000), Page).serve_forever()
`

/** It answers, then does not find its database. */
const SHORT_LIVED = `${NODE_SERVER}
setTimeout(() => { throw new Error('no database') }, 1500)`
/** As gunicorn does: the parent listens, the app is imported by its worker, and the parent ends when that has failed. */
const PRELOADED = `
import os, socket, subprocess, sys, time
listening = socket.create_server(('', 8000))
time.sleep(1)
code = subprocess.call([sys.executable, '-c', 'import flask_that_is_not_there'])
sys.exit('Worker failed to boot.' if code else 0)
`

/** Dockerfiles of several stages as sample apps have them. Base images: see their file. */
describe('a sample app with a Dockerfile of several stages', () => {
  let installation: Installation
  const images = new BaseImages()
  before(async () => {
    images.node('20')
    images.go()
    installation = await Installation.create()
    await installation.start({ WATCH_SECONDS: '600' })
  })
  after(() => installation[Symbol.asyncDispose]())

  /** Deploys a first version that ends by itself soon after it has answered, and gives its last line. */
  async function lastLine(name: string, files: Record<string, string>): Promise<string> {
    using repository = new TestRepository(files)
    const { deploymentId } = await createApp(installation.port, { name, repoUrl: repository.url })
    await until(async () => (await readDeployment(installation.port, deploymentId)).status === 'FAILED')
    const { error } = await readDeployment(installation.port, deploymentId)
    assert.deepEqual([error?.code, error?.exitCode], ['EXITED', 1])
    const hasServed = (await readEvents(installation.port, deploymentId)).some((event) =>
      /> RUNNING/.test(event),
    )
    await until(
      async () => (await installation.fetch(`${name}.localhost`)).status === (hasServed ? 503 : 404),
    )
    return error?.lastLines.filter((line) => /Error|failed/.test(line)).at(-1) ?? ''
  }

  async function page(name: string, files: Record<string, string>): Promise<string> {
    using repository = new TestRepository(files)
    const { deploymentId } = await createApp(installation.port, { name, repoUrl: repository.url })
    const log = (await followLog(installation.port, deploymentId)).map(({ text }) => text).join('')
    assert.equal((await readDeployment(installation.port, deploymentId)).status, 'RUNNING', log)
    assert.doesNotMatch(log, /No Dockerfile/)
    return (await installation.fetch(`${name}.localhost`)).body.trim()
  }

  function node(server: string): Record<string, string> {
    const manifest = {
      name: 'sample',
      version: '1.0.0',
      scripts: { build: 'mkdir dist && cp server.js dist/' },
    }
    const lock = { name: 'sample', version: '1.0.0', lockfileVersion: 3, packages: { '': manifest } }
    return {
      Dockerfile: nodeApp(images.name('DETECT_NODE_IMAGE', '20')),
      'package.json': JSON.stringify(manifest),
      'package-lock.json': JSON.stringify(lock),
      'server.js': server,
    }
  }

  function python(app: string): Record<string, string> {
    images.python('3.11')
    const dockerfile = pythonApp(images.name('DETECT_PYTHON_IMAGE', '3.11'))
    return { Dockerfile: dockerfile, 'requirements.txt': '# none\n', 'app.py': app }
  }

  test('of Node.js', async () => {
    assert.equal(await page('sample-node', node(NODE_SERVER)), 'node as 1000')
  })

  test('of Node.js, which throws after it has listened: FAILED with its last lines', async () => {
    assert.match(await lastLine('short-lived', node(SHORT_LIVED)), /Error: no database/)
  })

  test('of Python', { skip: noPython() }, async () => {
    assert.equal(await page('sample-python', python(PYTHON_SERVER)), '/opt/venv as 1000')
  })

  test(
    'of Python, whose worker does not boot: FAILED with its last lines',
    { skip: noPython() },
    async () => {
      assert.match(await lastLine('preloaded', python(PRELOADED)), /Worker failed to boot/)
    },
  )

  test('of Go', async () => {
    const files = {
      Dockerfile: goApp(images.name('DETECT_GO_IMAGE'), images.name('DETECT_RUNTIME_IMAGE')),
      'go.mod': 'module x/y\n',
      'main.go': 'package main\n',
      'index.html': 'go page',
    }
    assert.equal(await page('sample-go', files), 'go page')
  })
})
