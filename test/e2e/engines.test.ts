import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createApp, followLog, graphql } from '../support/client.js'
import { DockerProxy } from '../support/docker-proxy.js'
import { TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'
import { DOCKER_19, StandInEngine } from '../support/stand-in-engine.js'

interface Health {
  readonly status: string
  readonly docker: { readonly status: string; readonly message: string | null }
}

/** A home folder whose current context is `name`, as `docker context use` leaves it. */
function homeWith(name: string, host: string): string {
  const home = mkdtempSync(join(tmpdir(), 'longshore-home-'))
  const folder = join(home, '.docker/contexts/meta', createHash('sha256').update(name).digest('hex'))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(home, '.docker/config.json'), JSON.stringify({ currentContext: name }))
  const meta = { Name: name, Metadata: {}, Endpoints: { docker: { Host: host } } }
  writeFileSync(join(folder, 'meta.json'), JSON.stringify(meta))
  return home
}

describe('the engine that a worker takes', () => {
  let installation: Installation
  const homes: string[] = []
  before(async () => (installation = await Installation.create()))
  after(async () => {
    await installation[Symbol.asyncDispose]()
    for (const home of homes) rmSync(home, { recursive: true })
  })
  const home = (name: string, host: string) => {
    const folder = homeWith(name, host)
    homes.push(folder)
    return { HOME: folder, DOCKER_HOST: '' }
  }

  test('is too old: the worker, /health and the deployments that wait say so', async () => {
    await using engine = await StandInEngine.start({ body: DOCKER_19 })
    const { port } = installation
    const server = await installation.start({ DOCKER_HOST: engine.host })
    const problem = 'the Docker engine is too old: it is Docker 19.03.15 (API 1.40), and Longshore needs'
    using repository = new TestRepository(webApp('early'))
    const { appId, deploymentId } = await createApp(port, { name: 'early', repoUrl: repository.url })
    const [waiting] = await followLog(port, deploymentId, 0, (events) => events.length === 1)
    assert.ok(waiting?.text.startsWith(`Waiting: ${problem}`), waiting?.text)
    assert.match(waiting?.text ?? '', /The deployment starts automatically once the engine is available\.$/m)
    const health = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as Health
    assert.equal(health.status, 'degraded')
    const message = 'the Docker engine is too old: the log says why'
    assert.deepEqual(health.docker, { status: 'down', message, version: null })
    const said = server.output.split('\n').filter((line) => line.includes(` warn  ${problem}`))
    assert.equal(said.length, 1, server.output)
    await until(() => engine.asked.filter((path) => path.startsWith('/events')).length >= 3)
    assert.equal(server.output.match(/lost the Docker event stream; reconnecting/g)?.length, 1, server.output)
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
    await server.stop()
  })

  test('is that of the current context; that a build has no limits is for its operator', async () => {
    await using engine = new DockerProxy()
    await engine.up()
    const { port } = installation
    const env = { ...home('rootless', engine.host), BUILD_CGROUP: 'longshore-test/none' }
    const server = await installation.start(env)
    assert.ok(
      server.output.includes(`host=${engine.host} from="the Docker context \\"rootless\\" of `),
      server.output,
    )
    using repository = new TestRepository(webApp('in-context'))
    const { appId, deploymentId } = await createApp(port, { name: 'in-context', repoUrl: repository.url })
    const events = await followLog(port, deploymentId)
    assert.equal(events.at(-1)?.end?.status, 'RUNNING')
    assert.doesNotMatch(events.map(({ text }) => text).join(''), /limits|cgroup/i)
    await until(() =>
      / info {2}BuildKit builds have no memory and CPU limits.*BUILD_CGROUP=/.test(server.output),
    )
    assert.doesNotMatch(server.output, / warn .*(limits|cgroup)/i)
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
    await server.stop()
  })

  test('cannot be used, as its context says: the start ends with that', async () => {
    const starting = installation.start(home('far', 'ssh://ann@far'))
    await assert.rejects(
      starting,
      /context "far" of .*config\.json: "ssh:\/\/ann@far" is not supported: .*DOCKER_HOST/,
    )
    assert.equal(installation.processes.at(-1)?.child.exitCode, 2)
  })
})
