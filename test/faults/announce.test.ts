import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { DeploymentChanges } from '../../src/engine/changes.js'
import { LogReader } from '../../src/engine/logs/reader.js'
import { Queries } from '../../src/engine/queries.js'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import { RouteGate, startLateWorker } from '../support/late-router.js'
import { lawsHold } from '../support/laws.js'
import { webApp } from '../support/repository.js'
import { type AppUnderTest, Scene } from '../support/scene.js'
import { fetchHost, until } from '../support/server.js'
import { startStandIn } from '../support/traefik.js'

const NO_DRAIN = { DRAIN_SECONDS: '0' }
const ROUNDS = Number(process.env.ANNOUNCE_ROUNDS ?? 2)

/** A router that follows a switch when the test says so. */
interface Late {
  readonly port: number
  /** Of the host's next switch it hears when it is told to {@link follow}. */
  lagAt(host: string): void
  follow(): void
}

/** What is said where a router has not followed in time. */
const DOUBT =
  /Running at http\S+\. Requests may not reach it yet: a router did not apply the switch within 1 s/

interface Try {
  readonly what: string
  readonly host: string
  readonly page: string
  /** Asks for it; gives the deployment that is to serve. */
  readonly ask: () => Promise<string>
  /** It has run before: its log has ended, its changes go on. */
  readonly isAwoken?: boolean
}

/** What a client of the API sees of deployments, at another process than the worker's. */
class Client {
  readonly #queries: Queries

  constructor(
    private readonly scene: Scene,
    private readonly late: Late,
  ) {
    this.#queries = new Queries(scene.own.database)
  }

  /** Nothing says RUNNING while the router lags; whoever has waited for it and then asks gets what it stands for. */
  async tries({ what, host, page, ask, isAwoken = false }: Try): Promise<string> {
    const { scene, late } = this
    late.lagAt(host)
    const id = await ask()
    const told = isAwoken ? this.#untilRunning(id) : this.#untilEnd(id)
    await until(async () => (await scene.deployment(id)).status === 'RUNNING', 5)
    const before = isAwoken ? 'RETIRED' : 'ROUTING'
    assert.equal((await this.shown(id))?.status, before, `${what}: shown`)
    assert.equal((await scene.events(id)).at(-1), before, `${what}: its events`)
    if (!isAwoken) assert.equal(await this.#endOf(id), null, `${what}: its log`)
    late.follow()
    await told
    assert.deepEqual(await fetchHost(late.port, host), { status: 200, body: page }, what)
    assert.equal((await this.shown(id))?.status, 'RUNNING', what)
    return id
  }

  shown(id: string): ReturnType<Queries['deployment']> {
    return this.#queries.deployment(id)
  }

  async #endOf(id: string): Promise<string | null> {
    const sql = 'SELECT end_status AS end FROM log_stream WHERE deployment_id = $1'
    return (await this.scene.rows<{ end: string | null }>(sql, [id]))[0]?.end ?? null
  }

  async #untilEnd(id: string): Promise<void> {
    for await (const { end } of new LogReader(this.scene.own.hub, id, 0))
      if (end) return assert.equal(end.status, 'RUNNING')
  }

  async #untilRunning(id: string): Promise<void> {
    const { database, wakeups } = this.scene.own
    for await (const { status } of new DeploymentChanges(database, wakeups, { deploymentId: id }))
      if (status === DeploymentStatus.RUNNING) return
  }
}

/** Deploy, restart, rollback, promote, stop and start, round after round. */
async function announces(scene: Scene, late: Late, rounds: number): Promise<void> {
  const client = new Client(scene, late)
  const { commands } = scene.own
  const app = await scene.app('steady')
  const host = 'steady.localhost'
  await commands.stages.create(app.id, 'staging', null)
  const newest = async (stageId: string) => {
    const sql = 'SELECT id FROM deployment WHERE stage_id = $1 ORDER BY generation DESC LIMIT 1'
    return (await scene.rows<{ id: string }>(sql, [stageId]))[0]?.id ?? ''
  }
  const deploy = (page: string) => () => {
    scene.repository.commit(webApp(page))
    return scene.deploy(app)
  }
  await client.tries({ what: 'first', host, page: 'page 0', ask: deploy('page 0') })
  for (let round = 1; round <= rounds; round++) {
    const page = `page ${round}`
    const id = await client.tries({ what: `deploy ${round}`, host, page, ask: deploy(page) })
    const promoted = {
      what: `promote ${round}`,
      host: 'staging--steady.localhost',
      ask: async () => (await commands.releases.promote(id, { stage: 'staging' })).id,
    }
    await client.tries({ ...promoted, page })
    const restarted = async () => {
      await commands.stages.restart(app.stageId)
      return newest(app.stageId)
    }
    await client.tries({ what: `restart ${round}`, host, page, ask: restarted })
    const before = `page ${round - 1}`
    const rolledBack = async () => (await commands.releases.rollback(app.id)).id
    const back = await client.tries({ what: `rollback ${round}`, host, page: before, ask: rolledBack })
    await stopped(scene, late, app, host)
    const started = async () => {
      await commands.stages.start(app.stageId)
      return back
    }
    await client.tries({ what: `start ${round}`, host, page: before, ask: started, isAwoken: true })
    // What a rollback goes back to is the round's own page, and not the one before.
    await client.tries({ what: `deploy ${round} again`, host, page, ask: deploy(page) })
  }
}

/** Its containers have gone, and the router has heard of it. */
async function stopped(scene: Scene, late: Late, { stageId }: AppUnderTest, host: string): Promise<void> {
  await scene.own.commands.stages.stop(stageId)
  const sql = `SELECT 1 FROM deployment WHERE stage_id = $1 AND (addresses IS NOT NULL OR drain_until > now())`
  await until(async () => (await scene.rows(sql, [stageId])).length === 0, 20)
  await until(async () => (await fetchHost(late.port, host)).status === 404, 20)
}

function lateBy(scene: Scene, gate: RouteGate): Late {
  return { port: scene.installation.routerPort, lagAt: () => gate.close(), follow: () => gate.open() }
}

describe('what is announced as RUNNING answers at its host', () => {
  test(`by the router of the same process: ${ROUNDS} rounds of six`, async () => {
    await using scene = await Scene.open()
    const gate = new RouteGate()
    await using _worker = await startLateWorker(scene, gate, NO_DRAIN)
    await announces(scene, lateBy(scene, gate), ROUNDS)
    await lawsHold(scene)
  })

  test('by the router of another process than the one that deploys', async () => {
    await using scene = await Scene.open()
    const gate = new RouteGate()
    await using routing = await startLateWorker(scene, gate, NO_DRAIN)
    routing.stopClaiming()
    await using _deploying = await scene.workerHere({ ...NO_DRAIN, ROUTER: 'off' })
    await announces(scene, lateBy(scene, gate), 1)
    await lawsHold(scene)
  })

  for (const hasApi of [true, false]) {
    test(`by Traefik ${hasApi ? 'with' : 'without'} its API`, async () => {
      await using scene = await Scene.open()
      const dir = mkdtempSync(join(tmpdir(), 'longshore-late-'))
      try {
        await using gateway = await startStandIn(dir)
        const traefik = { TRAEFIK_DIR: dir, TRAEFIK_URL: `http://127.0.0.1:${gateway.port}` }
        const api: Record<string, string> = hasApi ? { TRAEFIK_API: gateway.api } : {}
        await using _worker = await scene.workerHere({ ...NO_DRAIN, ROUTER: 'traefik', ...traefik, ...api })
        await announces(scene, gateway, 1)
        await lawsHold(scene)
      } finally {
        rmSync(dir, { recursive: true, force: true })
      }
    })
  }

  test('by a version that traffic goes back to, when the one after it has failed', async () => {
    await using scene = await Scene.open()
    const gate = new RouteGate()
    await using _worker = await startLateWorker(scene, gate, { WATCH_SECONDS: '600' })
    const late = lateBy(scene, gate)
    const { app, deploymentId: before } = await scene.serving('steady')
    const client = new Client(scene, late)
    const failed = await client.tries({
      ...{ what: 'second', host: 'steady.localhost', page: 'second' },
      ask: () => {
        scene.repository.commit(webApp('second'))
        return scene.deploy(app)
      },
    })
    const ask = async () => {
      await scene.docker.crash(`steady-${failed}`, 3)
      await until(async () => (await scene.deployment(failed)).status === 'ROLLED_BACK', 5)
      assert.equal((await client.shown(failed))?.status, 'RUNNING')
      assert.equal((await client.shown(failed))?.errorCode, null)
      return before
    }
    const isAwoken = true
    await client.tries({ what: 'back', host: 'steady.localhost', page: 'first', ask, isAwoken })
    assert.equal((await client.shown(failed))?.status, 'ROLLED_BACK')
    assert.deepEqual((await scene.events(failed)).slice(-2), ['RUNNING', 'ROLLED_BACK'])
  })
})

describe('a router that does not follow', () => {
  test('within ROUTER_CONFIRM_SECONDS: the log says so and ends', async () => {
    await using scene = await Scene.open()
    const gate = new RouteGate()
    await using _worker = await startLateWorker(scene, gate, { ROUTER_CONFIRM_SECONDS: '1' })
    const app = await scene.app('steady')
    gate.close()
    const id = await scene.deploy(app)
    await scene.reaches(id, 'RUNNING')
    assert.match(await scene.log(id), DOUBT)
    gate.open()
    await until(async () => (await scene.ask(app)).status === 200)
    scene.repository.commit(webApp('second'))
    const next = await scene.deploy(app)
    await scene.reaches(next, 'RUNNING')
    assert.doesNotMatch(await scene.log(next), /Requests may not/)
    await lawsHold(scene)
  })

  test('before it is replaced: what was held back is said all the same, in order', async () => {
    await using scene = await Scene.open()
    const gate = new RouteGate()
    await using routing = await startLateWorker(scene, gate, { ROUTER_CONFIRM_SECONDS: '600' })
    routing.stopClaiming()
    await using _deploying = await scene.workerHere({ ROUTER: 'off' })
    const app = await scene.app('steady')
    gate.close()
    const id = await scene.deploy(app)
    await until(async () => (await scene.deployment(id)).status === 'RUNNING')
    await scene.own.commands.stages.stop(app.stageId)
    await scene.reaches(id, 'RETIRED')
    assert.deepEqual((await scene.events(id)).slice(-3), ['ROUTING', 'RUNNING', 'RETIRED'])
    gate.open()
    await lawsHold(scene)
  })
})
