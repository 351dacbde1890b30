import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readDeployment } from '../support/client.js'
import { GATE, openGate } from '../support/gate.js'
import { webApp } from '../support/repository.js'
import { fetchHost, Installation, until } from '../support/server.js'
import { scripted, type Serving, serving } from '../support/serving.js'
import { startLabelStandIn } from '../support/traefik-labels.js'
import type { Gateway } from '../support/traefik.js'
import { visit } from '../support/visit.js'

const HOST = 'labelled.localhost'
const DRAIN_SECONDS = 8

/** The weaker promise of docs/routing.md: old and new share the traffic while both run. */
describe('ROUTER=traefik-labels, the labels read by a stand-in', () => {
  let installation: Installation
  let gateway: Gateway
  let app: Serving

  before(async () => {
    installation = await Installation.create()
    gateway = await startLabelStandIn(() => installation.running())
    await installation.start({
      ROUTER: 'traefik-labels',
      TRAEFIK_URL: `http://127.0.0.1:${gateway.port}`,
      WATCH_SECONDS: '20',
      DRAIN_SECONDS: String(DRAIN_SECONDS),
    })
    app = await serving(installation, 'labelled', webApp('one'))
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
    // It asks the installation's database which containers there are.
    await gateway[Symbol.asyncDispose]()
    await installation[Symbol.asyncDispose]()
  })

  const ask = (host: string) => fetchHost(gateway.port, host)

  test('a deployment answers at its stage’s host and at its own, and the next one takes its place', async () => {
    await until(async () => (await ask(HOST)).body === 'one')
    await using seen = visit(gateway.port, HOST)
    const next = await app.next(webApp('two'))
    assert.equal(next.end, 'RUNNING', next.log)
    assert.equal((await ask(`labelled-${next.id}.localhost`)).body, 'two')
    assert.equal((await ask(`labelled-${app.first}.localhost`)).body, 'one', 'it drains')
    await until(async () => (await ask(`labelled-${app.first}.localhost`)).status === 404)
    assert.equal((await ask(HOST)).body, 'two')
    assert.deepEqual([...seen.pages].sort(), ['one', 'two'])
  })

  test('a version that ends is rolled back, and gets no request once it is', async () => {
    const bad = await app.next(scripted(`busybox httpd -p 8080 -h /www; ${GATE}; exit 7`, 'bad'))
    assert.equal(bad.end, 'RUNNING', bad.log)
    openGate(`labelled-${bad.id}`)
    await until(async () => (await readDeployment(installation.port, bad.id)).status === 'ROLLED_BACK')
    const backAt = performance.now()
    await until(async () => !(await has(bad.id)))
    assert.ok(
      performance.now() - backAt < DRAIN_SECONDS * 1000,
      'it does not drain: its labels bring requests',
    )
    await until(async () => (await ask(HOST)).body === 'two')
  })

  async function has(id: string): Promise<boolean> {
    return (await installation.containers()).includes(`labelled-${id}`)
  }
})
