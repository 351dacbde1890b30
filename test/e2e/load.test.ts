import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { createApp, deploy, followLog, graphql, readDeployment, updateStage } from '../support/client.js'
import { echoApp, failuresOf, sendLoad, summarise, Timeline, versioned } from '../support/load.js'
import { TestRepository } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const SECONDS = 60
const PER_SECOND = 200
const SOCKETS = 4

let installation: Installation
let port = 0

before(async () => {
  installation = await Installation.create()
  port = installation.port
  await installation.start({ WATCH_SECONDS: '8', DRAIN_SECONDS: '2' })
})
after(() => installation[Symbol.asyncDispose]())

async function endOf(id: string): Promise<string | undefined> {
  return (await followLog(port, id)).at(-1)?.end?.status
}

/** The load's app, and what may be seen of it when. */
class Rollout {
  readonly timeline = new Timeline()

  constructor(
    private readonly appId: string,
    private readonly repository: TestRepository,
  ) {}

  async good(version: string): Promise<string> {
    this.repository.commit(versioned(version))
    this.timeline.mayBegin(version)
    const id = await deploy(port, this.appId)
    assert.equal(await endOf(id), 'RUNNING', `${version} does not run`)
    await this.#seen(version)
    return id
  }

  async endsInItsCheck(): Promise<void> {
    this.repository.commit(versioned('ends', 'exit 3'))
    const id = await deploy(port, this.appId)
    assert.equal(await endOf(id), 'FAILED')
    assert.equal((await readDeployment(port, id)).error?.code, 'EXITED')
  }

  /** Serves, becomes unhealthy while it is watched, and traffic goes back to `before`. */
  async sickens(version: string, before: string): Promise<void> {
    const id = await this.good(version)
    this.timeline.mayBegin(before)
    execFileSync('docker', ['exec', `load-${id}`, 'busybox', 'rm', '/www/health'])
    await until(20_000, async () => (await readDeployment(port, id)).status === 'ROLLED_BACK')
    await this.#seen(before)
  }

  async #seen(version: string): Promise<void> {
    await until(10_000, async () => (await installation.fetch('load.localhost')).body === version, 5)
    this.timeline.confirmed(version)
  }
}

test('200 requests a second see nothing of good, broken and rolled back deployments', async (t) => {
  using repository = new TestRepository(versioned('one'))
  using echo = new TestRepository(echoApp())
  const echoes = await createApp(port, { name: 'echo', repoUrl: echo.url })
  assert.equal(await endOf(echoes.deploymentId), 'RUNNING')
  const { appId } = await createApp(port, { name: 'load', repoUrl: repository.url, deploy: false })
  await updateStage(port, appId, { healthCheck: { path: '/health' } })
  const rollout = new Rollout(appId, repository)
  await rollout.good('one')

  const order = { port: installation.routerPort, host: 'load.localhost', echoHost: 'echo.localhost' }
  const load = sendLoad({ ...order, perSecond: PER_SECOND, seconds: SECONDS, sockets: SOCKETS })
  const deployments = (async () => {
    await rollout.good('two')
    await rollout.endsInItsCheck()
    await rollout.good('three')
    await rollout.sickens('sickens', 'three')
    await rollout.good('four')
  })()
  const [report] = await Promise.all([load, deployments])

  const wrong = rollout.timeline.wrong(report.answers)
  t.diagnostic(summarise(report, wrong.length))
  assert.ok(report.answers.length > (PER_SECOND * SECONDS) / 4, 'the machine was too busy for a load')
  assert.deepEqual(failuresOf(report), new Map())
  assert.deepEqual(wrong.slice(0, 3), [])
  const seen = new Set(report.answers.map(({ page }) => page))
  assert.deepEqual([...seen], ['one', 'two', 'three', 'sickens', 'four'])
  assert.deepEqual(report.sockets.failures, [])
  assert.ok(report.sockets.sent > (SOCKETS * SECONDS) / 2, `only ${report.sockets.sent} messages`)
  assert.equal(report.sockets.echoed, report.sockets.sent)
  await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
  await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: echoes.appId })
})
