import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BaseImages, noPython } from '../support/base-images.js'
import { createApp, followLog, readDeployment } from '../support/client.js'
import { TestRepository } from '../support/repository.js'
import { Installation } from '../support/server.js'

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

/** Dockerfiles of several stages as sample apps have them. Base images: see their file. */
describe('a sample app with a Dockerfile of several stages', () => {
  let installation: Installation
  const images = new BaseImages()
  before(async () => {
    images.node('20')
    images.go()
    installation = await Installation.create()
    await installation.start()
  })
  after(() => installation[Symbol.asyncDispose]())

  async function page(name: string, files: Record<string, string>): Promise<string> {
    using repository = new TestRepository(files)
    const { deploymentId } = await createApp(installation.port, { name, repoUrl: repository.url })
    const log = (await followLog(installation.port, deploymentId)).map(({ text }) => text).join('')
    assert.equal((await readDeployment(installation.port, deploymentId)).status, 'RUNNING', log)
    assert.doesNotMatch(log, /No Dockerfile/)
    return (await installation.fetch(`${name}.localhost`)).body.trim()
  }

  test('of Node.js', async () => {
    const manifest = {
      name: 'sample',
      version: '1.0.0',
      scripts: { build: 'mkdir dist && cp server.js dist/' },
    }
    const lock = { name: 'sample', version: '1.0.0', lockfileVersion: 3, packages: { '': manifest } }
    const files = {
      Dockerfile: nodeApp(images.name('DETECT_NODE_IMAGE', '20')),
      'package.json': JSON.stringify(manifest),
      'package-lock.json': JSON.stringify(lock),
      'server.js': NODE_SERVER,
    }
    assert.equal(await page('sample-node', files), 'node as 1000')
  })

  test('of Python', { skip: noPython() }, async () => {
    images.python('3.11')
    const dockerfile = pythonApp(images.name('DETECT_PYTHON_IMAGE', '3.11'))
    const files = { Dockerfile: dockerfile, 'requirements.txt': '# none\n', 'app.py': PYTHON_SERVER }
    assert.equal(await page('sample-python', files), '/opt/venv as 1000')
  })

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
