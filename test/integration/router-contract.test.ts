import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Disposal } from '../../src/disposal.js'
import { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import type { Router } from '../../src/engine/routing/router.js'
import { TraefikFileRouter } from '../../src/engine/routing/traefik-file-router.js'
import { createLogger } from '../../src/logger.js'
import { askHost, openShop, type Shop } from '../support/routing.js'
import { freePort, until } from '../support/server.js'
import { findTraefik, type Gateway, startStandIn, startTraefik } from '../support/traefik.js'

const HOST = 'shop.test.example'
const LATEST_MS = 5_000

interface Routed {
  readonly router: Router
  /** Where requests go in. */
  readonly port: number
}

type Open = (shop: Shop, opened: Disposal) => Promise<Routed>

const logger = createLogger('error')

async function openBuiltin({ process }: Shop, opened: Disposal): Promise<Routed> {
  const options = { host: '127.0.0.1', port: 0, baseDomain: 'test.example', tls: null }
  const router = new BuiltinRouter(process.database, process.wakeups, logger, options)
  await router.start()
  opened.use(router)
  return { router, port: router.port() }
}

function openTraefik(start: (folder: string) => Promise<Gateway>): Open {
  return async ({ process }, opened) => {
    const dir = mkdtempSync(join(tmpdir(), 'longshore-traefik-'))
    opened.defer(() => rmSync(dir, { recursive: true, force: true }))
    const { port, api } = opened.use(await start(dir))
    const router = new TraefikFileRouter(process.database, process.wakeups, logger, {
      ...{ dir, api, url: `http://127.0.0.1:${port}`, baseDomain: 'test.example', instanceId: 'inst' },
      ...{ entryPoint: 'web', tlsEntryPoint: 'websecure', certResolver: null },
    })
    await router.start()
    opened.use(router)
    return { router, port }
  }
}

describe('the contract of routers: the built-in one', () => contract(openBuiltin))

describe('the contract of routers: files of Traefik, read by a stand-in', () =>
  contract(openTraefik(startStandIn)))

describe('the contract of routers: files of Traefik, read by Traefik', () => {
  const file = findTraefik()
  if (file) contract(openTraefik((folder) => startTraefik(file, folder)))
  else test('needs Traefik', (t) => t.skip('no traefik binary: set TRAEFIK_BIN, or put one on the PATH'))
})

function contract(open: Open): void {
  let shop: Shop
  let routed: Routed
  const opened = new Disposal()
  let old = ''
  let fresh = ''

  before(async () => {
    shop = opened.use(await openShop())
    routed = await open(shop, opened)
    old = await shop.add((incoming, response) => response.end(`old ${incoming.headers.host}${incoming.url}`))
    fresh = await shop.add((_incoming, response) => response.end('new'))
  })
  after(() => opened[Symbol.asyncDispose]())

  const reaches = (id: string, path = '/') => {
    const host = `shop-${id}.test.example`
    return routed.router.reaches({ host, path, timeoutMs: 2_000, addresses: [], port: 80 })
  }
  const ask = (host: string, path?: string) => askHost(routed.port, host, path)
  const becomes = (host: string, body: string) =>
    until(LATEST_MS, async () => (await ask(host)).body.startsWith(body))
  const isGone = (host: string) => until(LATEST_MS, async () => (await ask(host)).status === 404)
  const confirmed = (id: string, wanted: boolean) =>
    until(LATEST_MS, async () => (await routed.router.confirms(shop.stageId, id)) === wanted)

  test('a deployment answers at its own host before it gets traffic; the stage does not', async () => {
    await routed.router.apply()
    await becomes(`shop-${fresh}.test.example`, 'new')
    await isGone(HOST)
    assert.equal(await reaches(fresh), true)
    assert.equal(await routed.router.confirms(shop.stageId, fresh), false)
  })

  test('the stage goes where the database says, with host, path and query as they were asked', async () => {
    await shop.switchTo(old)
    await routed.router.apply()
    await becomes(HOST, 'old')
    assert.equal((await ask(`${HOST}:99`, '/a%2Fb?q=1')).body, `old ${HOST}:99/a%2Fb?q=1`)
    await confirmed(old, true)
    assert.equal(await routed.router.confirms(shop.stageId, fresh), false)
  })

  test("a switch moves the stage's traffic, and the version before keeps its own host", async () => {
    await shop.switchTo(fresh)
    await routed.router.apply()
    await becomes(HOST, 'new')
    await confirmed(fresh, true)
    await confirmed(old, false)
    assert.match((await ask(`shop-${old}.test.example`)).body, /^old/)
  })

  test('a wake-up is enough', async () => {
    await shop.switchTo(old)
    shop.process.wakeups.notify('route', shop.stageId)
    await becomes(HOST, 'old')
    await shop.switchTo(fresh)
    shop.process.wakeups.notify('route', shop.stageId)
    await becomes(HOST, 'new')
  })

  test('many calls at once end with what the database says', async () => {
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

  test('what does not get through to a container is not reached', async () => {
    const shut = await shop.add(await freePort())
    const rude = await shop.add((incoming, response) => {
      response.statusCode = incoming.url === '/none' ? 404 : 503
      response.end(incoming.url === '/none' ? '404 page not found\n' : 'come back later')
    })
    await routed.router.apply()
    await until(LATEST_MS, () => reaches(rude))
    assert.equal(await reaches(shut), false)
    assert.equal(await reaches('nobody'), false)
    assert.equal(await reaches(rude, '/none'), true, 'the app says 404 in the words of a Go program')
  })

  test('a stage that was stopped and an app that was deleted are gone, and come back', async () => {
    for (const [hide, show] of [
      ['UPDATE stage SET stopped = true', 'UPDATE stage SET stopped = false'],
      ['UPDATE app SET deleted_at = now()', 'UPDATE app SET deleted_at = NULL'],
    ] as const) {
      await shop.process.database.query(hide)
      await routed.router.apply()
      await isGone(HOST)
      await isGone(`shop-${fresh}.test.example`)
      assert.equal(await routed.router.confirms(shop.stageId, fresh), false, hide)
      await shop.process.database.query(show)
      await routed.router.apply()
      await becomes(HOST, 'new')
    }
  })

  test('an address that has changed is followed', async () => {
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
