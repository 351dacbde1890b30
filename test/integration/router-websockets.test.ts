import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { on, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import type { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { openRouter } from '../support/routers.js'
import { freePort, until } from '../support/server.js'

const MIB = 1024 * 1024
const HOST = 'shop.test.example'

describe('WebSockets through the router', () => {
  let opened: Awaited<ReturnType<typeof openRouter>>
  let router: BuiltinRouter
  const app = createServer((_incoming, response: ServerResponse) => response.end())
  let id = ''

  before(async () => {
    opened = await openRouter()
    router = opened.router
    id = await opened.run('shop', await listen(app))
  })
  after(async () => {
    await opened[Symbol.asyncDispose]()
    app.closeAllConnections()
    await new Promise((resolve) => app.close(resolve))
  })

  const idle = () => until(() => router.inFlight(id) === 0)

  test('carries WebSockets both ways, text and binary, and counts them while they are open', async () => {
    using sockets = new EchoSockets(app)
    const socket = new WebSocket(`ws://127.0.0.1:${router.port()}/live?x=1`, { headers: { host: HOST } })
    const messages = on(socket, 'message')
    const next = async () => ((await messages.next()).value as [Buffer, boolean])[0]
    assert.equal((await next()).toString(), '/live?x=1')
    assert.equal(router.inFlight(id), 1)
    socket.send('hello')
    assert.equal((await next()).toString(), 'hello')
    const large = randomBytes(5 * MIB)
    socket.send(large)
    assert.ok((await next()).equals(large))
    socket.close()
    await idle()
    assert.equal(sockets.requests.length, 1)
  })

  test('tells a WebSocket app who asked for which host, whatever the client claims', async () => {
    using sockets = new EchoSockets(app)
    const forged = {
      'X-Forwarded-For': '6.6.6.6',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Port': '666',
      Forwarded: 'for=6.6.6.6',
    }
    const headers = { host: HOST, ...forged }
    const socket = new WebSocket(`ws://127.0.0.1:${router.port()}/`, { headers })
    await once(socket, 'message')
    socket.close()
    const got = sockets.requests[0]?.headers ?? {}
    assert.equal(got['x-forwarded-for'], '127.0.0.1')
    assert.equal(got['x-forwarded-host'], HOST)
    assert.equal(got['x-forwarded-proto'], 'http')
    assert.equal(got['x-forwarded-port'], undefined)
    assert.equal(got.forwarded, undefined)
    await idle()
  })

  test('answers an upgrade for an unknown host with 404 and for an app that is down with 502', async () => {
    await opened.run('shut', await freePort())
    for (const [host, status] of [
      ['nobody.test.example', 404],
      ['shut.test.example', 502],
    ] as const) {
      const socket = new WebSocket(`ws://127.0.0.1:${router.port()}/`, { headers: { host } })
      socket.on('error', () => undefined)
      const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
      assert.equal(answer.statusCode, status)
      socket.terminate()
    }
  })

  test('ends the WebSocket of a client whose app breaks off, and the other way round', async () => {
    using sockets = new EchoSockets(app)
    const open = async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${router.port()}/`, { headers: { host: HOST } })
      await once(socket, 'message')
      return socket
    }
    const first = await open()
    for (const inner of sockets.server.clients) inner.terminate()
    await once(first, 'close')
    const second = await open()
    second.terminate()
    await until(() => sockets.server.clients.size === 0)
    await idle()
  })
})

/** Upgrades on `server`: says the path, then echoes. */
class EchoSockets implements Disposable {
  readonly requests: IncomingMessage[] = []
  readonly server = new WebSocketServer({ noServer: true })
  readonly #upgrade = (incoming: IncomingMessage, socket: Duplex, head: Buffer) =>
    this.server.handleUpgrade(incoming, socket, head, (open) => {
      this.requests.push(incoming)
      open.on('error', () => undefined)
      open.on('message', (data, binary) => open.send(data, { binary }))
      open.send(incoming.url ?? '')
    })

  constructor(private readonly http: Server) {
    http.on('upgrade', this.#upgrade)
  }

  [Symbol.dispose](): void {
    this.http.off('upgrade', this.#upgrade)
    for (const client of this.server.clients) client.terminate()
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
