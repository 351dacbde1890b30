import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { Disposal } from '../../src/disposal.js'
import { createId } from '../../src/engine/names.js'
import { ANY } from '../../src/engine/wakeups/wakeups.js'
import { openProcesses } from '../support/engine.js'
import { startBuiltin } from '../support/routers.js'
import { fetchHost, until } from '../support/server.js'

const HOST = 'shop.test.example'

/** A router, and an app whose versions are real servers. */
async function openShop() {
  const opened = new Disposal()
  const [process] = opened.use(await openProcesses(1)).processes
  assert.ok(process)
  const { database, wakeups, commands } = process
  const router = await startBuiltin(process, opened)
  const app = await commands.apps.create({
    name: 'shop',
    repoUrl: 'https://git.invalid/x.git',
    deploy: false,
  })
  return {
    router,
    database,
    wakeups,
    app,
    /** A deployment that has passed its checks and waits for traffic. */
    async add(answer: (incoming: IncomingMessage, response: ServerResponse) => void): Promise<string> {
      const server = createServer(answer)
      const port = await listen(server)
      opened.defer(() => server.close().closeAllConnections())
      const id = createId()
      await database.query(
        `INSERT INTO deployment (id, app_id, stage_id, status, trigger, addresses, port)
         SELECT $1, s.app_id, s.id, 'RETIRED', 'MANUAL', ARRAY['127.0.0.1'], $3 FROM stage s WHERE s.app_id = $2`,
        [id, app.id, port],
      )
      return id
    },
    /** Moves traffic in the database, as the engine does: in one transaction. */
    switchTo: (id: string) =>
      database.transaction(async (manager) => {
        await manager.query(`UPDATE deployment SET status = 'RETIRED' WHERE status = 'RUNNING'`)
        await manager.query(`UPDATE deployment SET status = 'RUNNING' WHERE id = $1`, [id])
        await manager.query(
          'UPDATE stage SET current_deployment_id = $1, route_epoch = route_epoch + 1 WHERE app_id = $2',
          [id, app.id],
        )
      }),
    get: async () => (await fetchHost(router.port(), HOST)).body,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

describe('a switch of traffic', () => {
  test('new requests go to the new version at once; one that began before ends on the old one', async () => {
    await using shop = await openShop()
    let finish: () => void = () => undefined
    const old = await shop.add((_incoming, response) => {
      response.write('old ')
      finish = () => response.end('to its end')
    })
    const fresh = await shop.add((_incoming, response) => response.end('new'))
    await shop.switchTo(old)
    await shop.router.apply()
    const slow = request({ host: '127.0.0.1', port: shop.router.port(), headers: { host: HOST } }).end()
    const [answer] = (await once(slow, 'response')) as [IncomingMessage]
    assert.equal(shop.router.inFlight(old), 1)

    await shop.switchTo(fresh)
    await shop.router.apply()
    assert.equal(await shop.get(), 'new')
    assert.equal(shop.router.inFlight(old), 1)
    finish()
    assert.equal(await text(answer), 'old to its end')
    await until(() => shop.router.inFlight(old) === 0)
    assert.equal(shop.router.inFlight(fresh), 0)
  })

  test('a client that gives up is not counted any more, and its app is told', async () => {
    await using shop = await openShop()
    let closed = false
    const id = await shop.add((_incoming, response) => response.on('close', () => (closed = true)).write('x'))
    await shop.switchTo(id)
    await shop.router.apply()
    const asked = request({ host: '127.0.0.1', port: shop.router.port(), headers: { host: HOST } }).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    answer.on('error', () => undefined)
    assert.equal(shop.router.inFlight(id), 1)
    asked.destroy()
    await until(() => closed && shop.router.inFlight(id) === 0)
  })

  test("a wake-up is enough: the router reads the table by itself, and the old version's own host stays", async () => {
    await using shop = await openShop()
    const old = await shop.add((_incoming, response) => response.end('old'))
    const fresh = await shop.add((_incoming, response) => response.end('new'))
    await shop.switchTo(old)
    shop.wakeups.trafficMoved(ANY)
    await until(async () => (await shop.get()) === 'old')
    await shop.switchTo(fresh)
    shop.wakeups.trafficMoved(ANY)
    await until(async () => (await shop.get()) === 'new')
    assert.equal((await fetchHost(shop.router.port(), `shop-${old}.test.example`)).body, 'old')
  })

  test('an app that was deleted or has failed, or whose stage was stopped, is not served any more', async () => {
    await using shop = await openShop()
    const id = await shop.add((_incoming, response) => response.end('here'))
    await shop.switchTo(id)
    await shop.router.apply()
    assert.equal(await shop.get(), 'here')
    for (const [hide, show, status] of [
      ['UPDATE stage SET stopped = true', 'UPDATE stage SET stopped = false', 404],
      ['UPDATE app SET deleted_at = now()', 'UPDATE app SET deleted_at = NULL', 404],
      [`UPDATE deployment SET status = 'FAILED'`, `UPDATE deployment SET status = 'RUNNING'`, 503],
    ] as const) {
      await shop.database.query(hide)
      await shop.router.apply()
      assert.equal((await fetchHost(shop.router.port(), HOST)).status, status, hide)
      await shop.database.query(show)
      await shop.router.apply()
      assert.equal(await shop.get(), 'here', show)
    }
  })

  test('a version whose containers are being started answers 503 at its hosts, and no other address is tried', async () => {
    await using shop = await openShop()
    const id = await shop.add((incoming) => incoming.socket.destroy())
    await shop.switchTo(id)
    await shop.router.apply()
    const own = `shop-${id}.test.example`
    assert.equal((await fetchHost(shop.router.port(), own)).status, 502)
    await shop.database.query('UPDATE deployment SET addresses = NULL')
    await shop.router.apply()
    for (const host of [HOST, own]) {
      const { status, body } = await fetchHost(shop.router.port(), host)
      assert.deepEqual([status, /is starting/.test(body)], [503, true], host)
    }
    assert.equal(await shop.router.isRoutedTo('another', id), false)
    await shop.database.query('UPDATE stage SET stopped = true')
    await shop.router.apply()
    assert.equal((await fetchHost(shop.router.port(), HOST)).status, 404)
  })

  test('1,000 requests on kept connections during 10 switches: none fails, each is answered by one version', async () => {
    await using shop = await openShop()
    const versions: string[] = []
    for (let n = 0; n < 11; n++) {
      versions.push(await shop.add((_incoming, response) => response.end(`${n}`.repeat(1_000))))
    }
    await shop.switchTo(versions[0] ?? '')
    await shop.router.apply()
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    const failures: unknown[] = []
    const seen = new Set<string>()
    let asked = 0
    const client = async () => {
      for (let turn = 0; turn < 125; turn++) {
        asked += 1
        const options = { host: '127.0.0.1', port: shop.router.port(), agent, headers: { host: HOST } }
        try {
          const [answer] = (await once(request(options).end(), 'response')) as [IncomingMessage]
          const body = await text(answer)
          if (answer.statusCode !== 200 || !/^(\d+?)\1*$/.test(body)) failures.push(answer.statusCode, body)
          seen.add(body)
        } catch (error) {
          failures.push(error)
        }
      }
    }
    const clients = Promise.all(Array.from({ length: 8 }, client))
    for (const [n, id] of versions.slice(1).entries()) {
      await until(() => asked >= (n + 1) * 80, 1)
      await shop.switchTo(id)
      await shop.router.apply()
    }
    await clients
    agent.destroy()
    assert.deepEqual(failures, [])
    assert.equal(asked, 1_000)
    assert.equal(seen.size, 11, 'each version answered')
    assert.deepEqual(
      versions.map((id) => shop.router.inFlight(id)),
      versions.map(() => 0),
    )
  })
})
