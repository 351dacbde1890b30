import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { followLog, graphql, readDeployment, updateStage } from '../support/client.js'
import { inspectContainer } from '../support/docker.js'
import { fetchHost, Installation, until } from '../support/server.js'
import { QUICK, scripted, serving } from '../support/serving.js'
import { type Container, startLabelStandIn } from '../support/traefik-labels.js'
import type { Gateway } from '../support/traefik.js'

/** On SIGTERM it does something, and stays until it is killed: a test has the 10 s in between to look. */
const stubborn = (onTerm: string) =>
  `busybox httpd -f -p 8080 -h /www & server=$!; trap "${onTerm}; busybox sleep 60" TERM; wait`

/** Takes no new connection any more. Its page says which container it is of. */
const shutting = (text: string) =>
  scripted(`busybox echo "${text} of $(busybox hostname)" > /www/index.html; ${stubborn('kill $server')}`)

/** Is not healthy any more, and goes on answering. */
const leaving = (text: string) =>
  scripted(
    stubborn('busybox touch /leaving'),
    text,
    'HEALTHCHECK --interval=1s --retries=1 --start-period=30s CMD [ ! -e /leaving ]',
  )

/** Enough that of two servers each would be the first choice several times. */
const TIMES = 12

describe('ROUTER=traefik-labels, the labels read by a stand-in', { concurrency: true }, () => {
  let installation: Installation
  let gateway: Gateway

  before(async () => {
    installation = await Installation.create()
    gateway = await startLabelStandIn(() => installation.running())
    const url = `http://127.0.0.1:${gateway.port}`
    await installation.start({ ROUTER: 'traefik-labels', TRAEFIK_URL: url, DRAIN_SECONDS: '1' })
  })
  after(async () => {
    // It asks the installation's database which containers there are.
    await gateway[Symbol.asyncDispose]()
    await installation[Symbol.asyncDispose]()
  })

  const ask = (host: string) => fetchHost(gateway.port, host)

  /** Whatever of it runs beside: only that one answers, and every time. */
  async function answersOnly(host: string, text: string): Promise<void> {
    for (let turn = 0; turn < TIMES; turn++) {
      const { status, body } = await ask(host)
      assert.deepEqual([status, body.slice(0, text.length)], [200, text])
    }
  }

  /** Gives the id of what it says. */
  async function mutate(field: string, id: string): Promise<string> {
    const mutation = `mutation ($id: ID!) { said: ${field} { id } }`
    return (await graphql<{ said: { id: string } }>(installation.port, mutation, { id })).said.id
  }

  test('what an ending version does not take goes to the next one, of which both replicas answer', async () => {
    await using app = await serving(installation, 'ended', shutting('one'))
    await until(async () => (await ask('ended.localhost')).status === 200)
    const address = await addressOf(`ended-${app.first}`)
    await updateStage(installation.port, app.appId, { replicas: 2, healthCheck: QUICK })
    const next = await app.next(shutting('two'))
    assert.equal(next.end, 'RUNNING', next.log)
    await until(() => isShut(address))
    await answersOnly('ended.localhost', 'two')
    const pages = new Set<string>()
    await until(async () => pages.add((await ask('ended.localhost')).body).size === 2)
  })

  test('what goes back, and what a rollback goes back to, share their stage’s host; a promotion has its own', async () => {
    await using app = await serving(installation, 'moved', shutting('one'))
    const next = await app.next(shutting('two'))
    assert.equal(next.end, 'RUNNING', next.log)
    const address = await addressOf(`moved-${next.id}`)
    await mutate('createStage(appId: $id, name: "preview")', app.appId)
    await followLog(installation.port, await mutate('promote(deploymentId: $id, stage: "preview")', next.id))
    await followLog(installation.port, await mutate('rollback(appId: $id)', app.appId))
    await until(() => isShut(address))
    await answersOnly('moved.localhost', 'one')
    await until(async () => (await ask('preview--moved.localhost')).status === 200)
    await answersOnly('preview--moved.localhost', 'two')
  })

  test('a version that fails its HEALTHCHECK as it ends gets no request any more, and has not failed', async () => {
    await using app = await serving(installation, 'leaving', leaving('one'), { stableSeconds: 0 })
    const next = await app.next(leaving('two'))
    assert.equal(next.end, 'RUNNING', next.log)
    const isLeft = ({ Labels, Status }: Container) =>
      Labels['longshore.deployment'] === app.first && !Status.endsWith('(unhealthy)')
    await until(async () => !(await installation.running<Container>()).some(isLeft))
    // The stand-in may have looked just before.
    await until(() =>
      answersOnly('leaving.localhost', 'two').then(
        () => true,
        () => false,
      ),
    )
    await until(async () => (await readDeployment(installation.port, app.first)).status === 'RETIRED')
    assert.equal((await readDeployment(installation.port, next.id)).status, 'RUNNING')
  })

  test('a stage that is stopped has no host, and has it again when it is started', async () => {
    await using app = await serving(installation, 'paused', shutting('one'))
    await until(async () => (await ask('paused.localhost')).status === 200)
    await mutate('stopStage(id: $id)', app.stageId)
    await until(async () => (await ask('paused.localhost')).status === 404)
    await mutate('startStage(id: $id)', app.stageId)
    await until(async () => (await ask('paused.localhost')).body.startsWith('one'))
  })
})

async function addressOf(container: string): Promise<string> {
  const { NetworkSettings } = await inspectContainer<Container>(container)
  return NetworkSettings.Networks.longshore?.IPAddress ?? ''
}

/** Nobody takes a connection there. */
function isShut(address: string): Promise<boolean> {
  return fetch(`http://${address}:8080/`, { signal: AbortSignal.timeout(1_000) }).then(
    () => false,
    () => true,
  )
}
