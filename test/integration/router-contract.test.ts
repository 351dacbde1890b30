import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Disposal } from '../../src/disposal.js'
import { BASE, type Open, openBuiltin, openLabels, openTraefik, type Routed } from '../support/routers.js'
import { type Answer, askHost, openShop, type Shop } from '../support/routing.js'
import { freePort, until } from '../support/server.js'
import { startStandIn } from '../support/traefik.js'
import { findTraefik, startTraefik } from '../support/traefik-process.js'

const HOST = `shop.${BASE}`

describe('the contract of routers: the built-in one', () => contract(openBuiltin, switching))

describe('the contract of routers: files of Traefik, read by a stand-in', () =>
  contract(openTraefik(startStandIn), switching))

describe('the contract of routers: labels of Traefik, read by a stand-in', () =>
  contract(openLabels, sharing))

describe('the contract of routers: files of Traefik, read by Traefik', () => {
  const file = findTraefik()
  if (file)
    contract(
      openTraefik((folder) => startTraefik(file, folder)),
      switching,
    )
  else test('needs Traefik', (t) => t.skip('no traefik binary: set TRAEFIK_BIN, or put one on the PATH'))
})

/** What a test of the contract has; ready when the tests run. */
interface Scene {
  readonly shop: Shop
  readonly routed: Routed
  readonly old: string
  readonly fresh: string
  readonly reaches: (id: string, path?: string) => Promise<boolean>
  /** What the router says of a deployment that it does not reach. */
  readonly fault: (id: string) => Promise<string | null>
  readonly ask: (host: string, path?: string) => Promise<Answer>
  readonly becomes: (host: string, body: string) => Promise<unknown>
  readonly isGone: (host: string) => Promise<unknown>
  /** Where the router says it. */
  readonly confirmed: (id: string, wanted: boolean) => Promise<unknown>
}

/** @param ofItsKind what holds of some routers only; before what all have to do */
function contract(open: Open, ofItsKind: (scene: () => Scene) => void): void {
  const opened = new Disposal()
  let scene: Scene

  before(async () => {
    const shop = opened.use(await openShop())
    const routed = await open(shop, opened)
    const old = await shop.add((incoming, response) =>
      response.end(`old ${incoming.headers.host}${incoming.url}`),
    )
    const fresh = await shop.add((_incoming, response) => response.end('new'))
    scene = sceneOf(shop, routed, old, fresh)
  })
  after(() => opened[Symbol.asyncDispose]())

  ofItsKind(() => scene)
  all(() => scene)
}

function sceneOf(shop: Shop, routed: Routed, old: string, fresh: string): Scene {
  const ask = (host: string, path?: string) => askHost(routed.port, host, path)
  const fault = (id: string, path = '/') =>
    routed.router.probe({ host: `shop-${id}.${BASE}`, path, timeoutMs: 2_000, addresses: [], port: 80 })
  return {
    ...{ shop, routed, old, fresh, ask },
    fault,
    reaches: async (id, path) => (await fault(id, path)) === null,
    becomes: (host, body) => until(async () => (await ask(host)).body.startsWith(body)),
    isGone: (host) => until(async () => (await ask(host)).status === 404),
    confirmed: (id, wanted) =>
      until(async () => [wanted, null].includes(await routed.router.isRoutedTo(shop.stageId, id))),
  }
}

/** Traffic moves in a moment, and nobody else gets it. */
function switching(scene: () => Scene): void {
  test('a deployment answers at its own host before it gets traffic; the stage does not', async () => {
    const { shop, routed, fresh, reaches, becomes, isGone } = scene()
    await routed.router.apply()
    await becomes(`shop-${fresh}.test.example`, 'new')
    await isGone(HOST)
    assert.equal(await reaches(fresh), true)
    assert.equal(await routed.router.isRoutedTo(shop.stageId, fresh), false)
  })

  test('the stage goes where the database says, with host, path and query as they were asked', async () => {
    const { shop, routed, old, fresh, ask, becomes, confirmed } = scene()
    await shop.switchTo(old)
    await routed.router.apply()
    await becomes(HOST, 'old')
    assert.equal((await ask(`${HOST}:99`, '/a%2Fb?q=1')).body, `old ${HOST}:99/a%2Fb?q=1`)
    await confirmed(old, true)
    assert.equal(await routed.router.isRoutedTo(shop.stageId, fresh), false)
  })

  test("a switch moves the stage's traffic, and the version before keeps its own host", async () => {
    const { shop, routed, old, fresh, ask, becomes, confirmed } = scene()
    await shop.switchTo(fresh)
    await routed.router.apply()
    await becomes(HOST, 'new')
    await confirmed(fresh, true)
    await confirmed(old, false)
    assert.match((await ask(`shop-${old}.test.example`)).body, /^old/)
  })

  test('a wake-up is enough', async () => {
    const { shop, old, fresh, becomes } = scene()
    await shop.switchTo(old)
    shop.process.wakeups.trafficMoved(shop.stageId)
    await becomes(HOST, 'old')
    await shop.switchTo(fresh)
    shop.process.wakeups.trafficMoved(shop.stageId)
    await becomes(HOST, 'new')
  })

  test('many calls at once end with what the database says', async () => {
    const { shop, routed, old, fresh, becomes, confirmed } = scene()
    const calls: Promise<void>[] = []
    for (let turn = 0; turn < 5; turn++) {
      for (const id of [old, fresh]) {
        await shop.switchTo(id)
        calls.push(routed.router.apply(), routed.router.apply())
      }
    }
    await Promise.all(calls)
    await becomes(HOST, 'new')
    await confirmed(fresh, true)
  })

  test('a domain of the user’s answers, and its counterpart sends browsers to it', async () => {
    const { shop, routed, ask, becomes } = scene()
    await shop.process.database.query(
      `INSERT INTO domain (host, stage_id) VALUES ('www.shop.example', $1), ('kaufen.example', $1)`,
      [shop.stageId],
    )
    await routed.router.apply()
    await becomes('www.shop.example', 'new')
    await becomes('kaufen.example', 'new')
    for (const [from, to] of [
      ['shop.example', 'www.shop.example'],
      ['www.kaufen.example', 'kaufen.example'],
    ] as const) {
      const { status, location } = await ask(`${from}:8000`, '/a?b=c')
      assert.ok([301, 308].includes(status), `${status}`)
      assert.equal(location, `http://${to}:8000/a?b=c`)
    }
  })

  test('an app that says 404 in the words of a Go program, as Traefik does, is reached', async () => {
    const { shop, routed, reaches, becomes } = scene()
    const go = await shop.add((_incoming, response) => {
      response.statusCode = 404
      response.end('404 page not found\n')
    })
    await routed.router.apply()
    await becomes(`shop-${go}.${BASE}`, '404')
    assert.equal(await until(() => reaches(go)), true)
  })
}

/** The weaker promise: versions of a stage share its traffic while they run. */
function sharing(scene: () => Scene): void {
  test('a deployment answers at its own host, and at its stage’s with host, path and query as they were asked', async () => {
    const { old, fresh, reaches, ask, becomes } = scene()
    await becomes(`shop-${fresh}.${BASE}`, 'new')
    assert.equal(await reaches(fresh), true)
    await becomes(`shop-${old}.${BASE}`, `old shop-${old}.${BASE}/`)
    const bodies = new Set<string>()
    for (let turn = 0; turn < 8; turn++) bodies.add((await ask(`${HOST}:99`, '/a%2Fb?q=1')).body)
    assert.deepEqual([...bodies].sort(), ['new', `old ${HOST}:99/a%2Fb?q=1`])
  })

  test('a version that has ended gets no traffic any more; nobody says when', async () => {
    const { shop, routed, old, fresh, ask, isGone } = scene()
    await shop.switchTo(fresh)
    await shop.process.database.query('UPDATE deployment SET addresses = NULL WHERE id = $1', [old])
    await isGone(`shop-${old}.${BASE}`)
    for (let turn = 0; turn < 8; turn++) assert.equal((await ask(HOST)).body, 'new')
    assert.equal(await routed.router.isRoutedTo(shop.stageId, fresh), null)
  })
}

/** What every router does. */
function all(scene: () => Scene): void {
  test('what does not get through to a container is not reached', async () => {
    const { shop, routed, reaches, fault } = scene()
    const shut = await shop.add(await freePort())
    const rude = await shop.add((_incoming, response) => {
      response.statusCode = 503
      response.end('come back later')
    })
    await routed.router.apply()
    await until(() => reaches(rude))
    const asked = (id: string) => `^GET / for host shop-${id}\\.${BASE} at [^]*`
    assert.match((await fault(shut)) ?? '', new RegExp(`${asked(shut)}answered 502`))
    assert.match((await fault('nobody')) ?? '', new RegExp(`${asked('nobody')}answered 404`))
  })

  test('a stage that was stopped and an app that was deleted are gone, and come back', async () => {
    const { shop, routed, fresh, becomes, isGone, confirmed } = scene()
    for (const [hide, show] of [
      ['UPDATE stage SET stopped = true', 'UPDATE stage SET stopped = false'],
      ['UPDATE app SET deleted_at = now()', 'UPDATE app SET deleted_at = NULL'],
    ] as const) {
      await shop.process.database.query(hide)
      await routed.router.apply()
      await isGone(HOST)
      await isGone(`shop-${fresh}.test.example`)
      await confirmed(fresh, false)
      await shop.process.database.query(show)
      await routed.router.apply()
      await becomes(HOST, 'new')
    }
  })

  test('an address that has changed is followed', async () => {
    const { shop, routed, fresh, becomes, confirmed } = scene()
    const moved = await shop.add((_incoming, response) => response.end('moved'))
    await shop.process.database.query(
      'UPDATE deployment d SET port = m.port FROM deployment m WHERE m.id = $1 AND d.id = $2',
      [moved, fresh],
    )
    await routed.router.apply()
    await becomes(HOST, 'moved')
    await confirmed(fresh, true)
  })
}
