import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Disposal } from '../../src/disposal.js'
import { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { createLogger } from '../../src/logger.js'
import { openRawShop, RawClient, type RawShop } from '../support/raw.js'
import { BASE } from '../support/routers.js'
import { until } from '../support/server.js'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const MOST = 3

describe('a router with as many connections as it takes', () => {
  const opened = new Disposal()
  const said: string[] = []
  const clients: RawClient[] = []
  let shop: RawShop
  let router: BuiltinRouter
  let probe: Parameters<BuiltinRouter['probe']>[0]

  before(async () => {
    shop = opened.use(await openRawShop())
    const app = await shop.listen((socket) => socket.write(OK))
    const id = await shop.serve(app.port)
    const { database, wakeups } = shop.shop.process
    const options = { host: '127.0.0.1', port: 0, baseDomain: BASE, tls: null }
    const logger = { ...createLogger('error'), warn: (message: string) => said.push(message) }
    const connections = { total: 100, perAddress: MOST }
    router = opened.use(new BuiltinRouter({ database, wakeups, logger }, { ...options, connections }))
    await router.start()
    probe = { host: `shop-${id}.${BASE}`, path: '/', timeoutMs: 5_000, addresses: [], port: app.port }
    for (let open = 0; open < MOST; open++) {
      const client = new RawClient(router.port())
      clients.push(client)
      opened.defer(() => client[Symbol.dispose]())
      // An offer that is ignored has the connection begin anew: it stays one.
      client.send(['GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c'])
      await client.gets(/ok$/)
    }
  })
  after(() => opened[Symbol.asyncDispose]())

  test('refuses more with a reason, and says so once', async () => {
    const flood = Array.from({ length: 40 }, () => new RawClient(router.port()))
    for (const client of flood) client.send(['GET / HTTP/1.1'])
    await until(() => flood.every(({ closed }) => closed))
    for (const { received } of flood)
      assert.match(received, /^HTTP\/1\.1 503 [^]*the router accepts 3 connections per address/)
    assert.deepEqual(said, ['refusing connections to the router'])
  })

  test('still asks itself whether a deployment is reached', async () => {
    assert.equal(await router.probe(probe), null)
    const host = `nobody.${BASE}`
    const found = `GET / for host ${host} at the built-in router was answered 404 by the router itself`
    assert.equal(await router.probe({ ...probe, host }), found)
  })

  test('serves those that it has, and another one when one of them is closed', async () => {
    clients[0]?.send(['GET / HTTP/1.1', 'Connection: close'])
    await clients[0]?.gets(/ok[^]*ok$/)
    await until(async () => {
      using next = new RawClient(router.port())
      next.send(['GET / HTTP/1.1', 'Connection: close'])
      await until(() => next.closed)
      return next.received.endsWith('ok')
    })
  })
})
