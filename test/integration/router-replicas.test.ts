import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { HOST, openRawShop, RawClient, type RawShop } from '../support/raw.js'
import { fetchHost, until } from '../support/server.js'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

describe('replicas behind the router', () => {
  let opened: RawShop
  let port = 0

  before(async () => {
    opened = await openRawShop()
    port = opened.router.port()
  })
  after(() => opened[Symbol.asyncDispose]())

  test('take turns, whatever other apps are asked meanwhile', async () => {
    const other = await opened.listen((socket) => socket.end(OK))
    const otherId = await opened.serve(other.port)
    const app = await opened.listen((socket) => socket.end(OK), '0.0.0.0')
    await opened.serve(app.port, ['127.0.0.1', '127.0.0.2'])
    for (let turn = 0; turn < 4; turn++) {
      await fetchHost(port, `shop-${otherId}.test.example`)
      await fetchHost(port, HOST)
    }
    assert.deepEqual(app.addresses.sort(), ['127.0.0.1', '127.0.0.1', '127.0.0.2', '127.0.0.2'])
  })

  test('take over what another one refused to connect, whatever it is', async () => {
    const app = await opened.listen((socket) => socket.end(OK))
    await opened.serve(app.port, ['127.0.0.2', '127.0.0.1'])
    for (let turn = 0; turn < 4; turn++) {
      using client = new RawClient(port)
      client.send(['POST / HTTP/1.1', 'Content-Length: 5', 'Connection: close'], 'a body'.slice(0, 5))
      await until(() => client.closed)
      assert.match(client.received, /^HTTP\/1\.1 200 /)
    }
    assert.match(app.received(), /a bod/)
  })

  test('that are dead are passed over, while one is well', async () => {
    const app = await opened.listen((socket) => socket.end(OK))
    const dead = ['127.0.0.2', '127.0.0.3']
    const id = await opened.serve(app.port, [...dead, '127.0.0.1'])
    const other = await opened.listen((socket) => socket.end(OK))
    const otherId = await opened.serve(other.port)
    for (let turn = 0; turn < 12; turn++) {
      const answers = await Promise.all([
        fetchHost(port, `shop-${id}.test.example`),
        fetchHost(port, `shop-${otherId}.test.example`),
        fetchHost(port, `shop-${id}.test.example`),
      ])
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 200],
        `${turn}`,
      )
    }
  })

  test('that break off without an answer are passed over for a safe request only', async () => {
    const app = await opened.listen((socket) => {
      if (socket.localAddress === '127.0.0.1') socket.end(OK)
      else socket.destroy()
    }, '0.0.0.0')
    await opened.serve(app.port, ['127.0.0.2', '127.0.0.1'])
    const seen = { GET: new Set<string>(), PUT: new Set<string>() }
    for (const method of ['GET', 'PUT', 'PUT', 'GET', 'GET', 'PUT'] as const) {
      using client = new RawClient(port)
      client.send([`${method} / HTTP/1.1`, 'Connection: close', 'Content-Length: 0'])
      await until(() => client.closed)
      seen[method].add(client.received.slice(9, 12))
    }
    assert.deepEqual([...seen.GET], ['200'])
    assert.deepEqual([...seen.PUT].sort(), ['200', '502'])
  })

  test('of the version that has the traffic by now answer a second try, which counts as theirs', async () => {
    const held: Socket[] = []
    const old = await opened.listen((socket) => held.push(socket))
    const fresh = await opened.listen((socket) => held.push(socket))
    const oldId = await opened.serve(old.port)
    using client = new RawClient(port)
    client.send(['GET / HTTP/1.1'])
    await until(() => held.length === 1)
    assert.equal(opened.router.inFlight(oldId), 1)
    const freshId = await opened.serve(fresh.port)
    assert.deepEqual([opened.router.inFlight(oldId), opened.router.inFlight(freshId)], [1, 0])
    held[0]?.destroy()
    await until(() => held.length === 2)
    assert.deepEqual([opened.router.inFlight(oldId), opened.router.inFlight(freshId)], [0, 1])
    held[1]?.end(OK)
    await client.gets(/ok$/)
    await until(() => opened.router.inFlight(freshId) === 0)
  })

  test('that come to the same address in another deployment are tried', async () => {
    const app = await opened.listen((socket) => socket.end(OK))
    let killed = 0
    const old = await opened.listen((socket) => {
      killed += 1
      if (killed === 1) void opened.serve(app.port).then(() => socket.destroy())
      else socket.destroy()
    })
    await opened.serve(old.port)
    assert.deepEqual(await fetchHost(port, HOST), { status: 200, body: 'ok' })
    assert.equal(killed, 1)
  })
})
