import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { SILENT } from '../support/build-output.js'
import { filesContext } from '../support/build-files.js'
import { UNLIMITED } from '../support/docker-engines.js'
import { FakeDocker } from '../support/fake-docker/fake-docker.js'
import { webApp } from '../support/repository.js'

const PLAIN = { noCache: false, target: null, args: {}, platform: null, secrets: new Map<string, string>() }

/** An error that nobody listens for ends the process, and here the test. */
test('a build that is cancelled while what it wrote is stored ends, and nothing else does', async () => {
  await using docker = await FakeDocker.start()
  const options = { dockerHost: docker.host, buildSilenceMs: 120_000, dockerTimeoutMs: 120_000, ...UNLIMITED }
  const port = new Dockerode({ ...options, builder: 'classic' })
  for (let round = 0; round < 30; round++) {
    const abort = new AbortController()
    const output = {
      ...SILENT,
      bytes: () => Promise.resolve(abort.abort(new Error('cancelled'))),
    }
    const context = filesContext(webApp(`text ${round}`, ['echo hello']))
    const request = { context, dockerfile: 'Dockerfile', tag: 'shop:1', labels: {}, ...PLAIN, output }
    await port.build(request, abort.signal).catch(() => undefined)
    await turn()
  }
})

test('a Dockerfile copies more paths than Node.js takes headers', async () => {
  await using docker = await FakeDocker.start()
  const options = { dockerHost: docker.host, buildSilenceMs: 120_000, dockerTimeoutMs: 120_000, ...UNLIMITED }
  const port = new Dockerode({ ...options, builder: 'buildkit' })
  const { Dockerfile = '', ...files } = webApp('page')
  const paths = Array.from({ length: 1_000 }, (_, index) => `many/${index}`)
  const context = filesContext({
    ...files,
    ...Object.fromEntries(paths.map((path) => [path, path])),
    Dockerfile: `${Dockerfile}\nCOPY ${paths.join(' ')} /many/\n`,
  })
  const request = { context, dockerfile: 'Dockerfile', tag: 'shop:1', labels: {}, ...PLAIN, output: SILENT }
  assert.match((await port.build(request, new AbortController().signal)).id, /^sha256:/)
})
