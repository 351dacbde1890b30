import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { openRawShop, RawClient, type RawApp, type RawShop } from '../support/raw.js'
import { freePort, until } from '../support/server.js'

const H2C = [
  'Connection: Upgrade, HTTP2-Settings',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
]
const WEBSOCKET = ['Connection: keep-alive, Upgrade', 'Upgrade: WebSocket', 'Sec-WebSocket-Key: abc==']
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

describe('an offer to upgrade', () => {
  let opened: RawShop
  let app: RawApp
  let answer: (socket: Socket, piece: Buffer) => void
  let id = ''
  let port = 0

  before(async () => {
    opened = await openRawShop()
    port = opened.router.port()
  })
  after(() => opened[Symbol.asyncDispose]())

  /** A fresh version, so that what it received is this test's. */
  async function serve(by: typeof answer): Promise<void> {
    answer = by
    app = await opened.listen((socket, piece) => answer(socket, piece))
    id = await opened.serve(app.port)
  }
  const idle = () => until(() => opened.router.inFlight(id) === 0)

  test('of another protocol is an ordinary request, and so is what follows on the connection', async () => {
    await serve((socket) => socket.write(OK))
    using client = new RawClient(port)
    client.send(['GET /first HTTP/1.1', ...H2C])
    await client.gets(/ok$/)
    assert.match(client.received, /^HTTP\/1\.1 200 OK\r\n/)
    await idle()
    client.received = ''
    client.send(['GET /second HTTP/1.1', 'X-Forwarded-For: 6.6.6.6'])
    await client.gets(/ok$/)
    const heads = app.received()
    assert.match(heads, /^GET \/first HTTP\/1\.1\r\n[^]*GET \/second HTTP\/1\.1\r\n/)
    assert.doesNotMatch(heads, /upgrade|http2-settings|6\.6\.6\.6/i)
  })

  test('of another protocol goes to the version that has the traffic, also on a kept connection', async () => {
    const old = await opened.listen((socket) => socket.write(OK))
    const fresh = await opened.listen((socket) => socket.write(OK.replace(/ok$/, 'hi')))
    await opened.serve(old.port)
    using client = new RawClient(port)
    client.send(['GET / HTTP/1.1', ...H2C])
    await client.gets(/ok$/)
    await opened.serve(fresh.port)
    client.send(['GET / HTTP/1.1', ...H2C])
    await client.gets(/hi$/)
  })

  test('of another protocol may have a body, of a length or in chunks, in one piece or in many', async () => {
    await serve((socket, piece) => piece.includes('end') && socket.write(OK))
    const lengths = ['POST / HTTP/1.1', ...H2C, 'Content-Length: 100003']
    const chunked = ['POST / HTTP/1.1', ...H2C, 'Transfer-Encoding: chunked']
    for (const [lines, first, rest] of [
      [['POST / HTTP/1.1', ...H2C, 'Content-Length: 8'], 'whole', 'end'],
      [lengths, 'a'.repeat(50_000), `${'a'.repeat(50_000)}end`],
      [chunked, '4\r\nsome\r\n', '3\r\nend\r\n0\r\n\r\n'],
    ] as const) {
      using client = new RawClient(port)
      client.send(lines, first)
      await until(() => opened.router.inFlight(id) === 1)
      client.socket.write(rest)
      await client.gets(/ok$/)
      client.received = ''
      client.send(lines, first + rest)
      await client.gets(/ok$/)
    }
    assert.doesNotMatch(app.received(), /h2c|http2-settings/i)
  })

  test('of another protocol, again and again on one connection, leaves nothing behind', async () => {
    await serve((socket) => socket.write(OK))
    const warnings: Error[] = []
    const warned = (warning: Error) => warnings.push(warning)
    process.on('warning', warned)
    using client = new RawClient(port)
    for (let turn = 0; turn < 30; turn++) {
      client.received = ''
      client.send(['GET / HTTP/1.1', ...H2C])
      await client.gets(/ok$/)
    }
    process.off('warning', warned)
    assert.deepEqual(warnings, [])
  })

  test('behind a request that is still being answered mixes no answers', async () => {
    for (const offer of [H2C, WEBSOCKET]) {
      let slow: Socket | undefined
      await serve((socket, piece) => {
        if (piece.includes('/quick')) socket.write(OK)
        else slow = socket
      })
      using client = new RawClient(port)
      client.send(['GET /slow HTTP/1.1'])
      client.send(['GET /quick HTTP/1.1', ...offer])
      await until(() => client.closed || (slow && app.received().includes('/quick')))
      assert.equal(client.received, '')
      // From Node.js 24.9 on an offer that is not taken makes no difference: it is answered in its turn.
      if (client.closed) assert.doesNotMatch(app.received(), /quick/)
      else {
        assert.equal(offer, H2C)
        slow?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow')
        await until(() => client.received.endsWith('ok'))
        assert.match(
          client.received,
          /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nslowHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/,
        )
        client.socket.destroy()
      }
      await idle()
    }
  })

  test('of a WebSocket that the app ignores is answered as the app does, and the connection ends', async () => {
    for (const said of [
      OK,
      'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Inner\r\nX-Inner: 1\r\nContent-Length: 2\r\n\r\nok',
    ]) {
      await serve((socket) => socket.write(said))
      using client = new RawClient(port)
      client.send(['GET /live HTTP/1.1', ...WEBSOCKET])
      client.send(['GET /smuggled HTTP/1.1', 'X-Forwarded-For: 6.6.6.6'])
      await until(() => client.closed)
      assert.match(client.received, /^HTTP\/1\.1 (200|401) [^]*\r\nConnection: close\r\n[^]*ok/)
      assert.doesNotMatch(client.received, /x-inner/i)
      await until(() => app.sockets.every((socket) => socket.destroyed))
      assert.doesNotMatch(app.received(), /smuggled|6\.6\.6\.6/)
      await idle()
    }
  })

  test('of a WebSocket reaches the app as one, with its answer as it is, whatever was sent early', async () => {
    await serve((socket, piece) => {
      if (piece.includes('GET')) {
        const lines = [
          'connection: upgrade',
          'upgrade: websocket',
          'Sec-WebSocket-Accept: x=',
          'Set-Cookie: \xe9',
        ]
        socket.write(Buffer.from(`HTTP/1.1 101 a\x01b\r\n${lines.join('\r\n')}\r\n\r\nfrom app`, 'latin1'))
      }
    })
    using client = new RawClient(port)
    client.send(['GET /live?x HTTP/1.1', ...WEBSOCKET, 'X-Forwarded-For: 6.6.6.6', 'X-E: \xe9'], 'early')
    await client.gets(/from app$/)
    client.socket.write(' late')
    await until(() => app.received().endsWith('early late'))
    assert.equal(opened.router.inFlight(id), 1)
    const [head = '', ...names] = client.received.split('\r\n\r\n')[0]?.split('\r\n') ?? []
    assert.equal(head, 'HTTP/1.1 101 Switching Protocols')
    assert.deepEqual(names.sort(), [
      'Connection: Upgrade',
      'Sec-WebSocket-Accept: x=',
      'Set-Cookie: \xe9',
      'Upgrade: websocket',
    ])
    const asked = app.received().split('\r\n\r\n')[0]?.split('\r\n') ?? []
    assert.equal(asked[0], 'GET /live?x HTTP/1.1')
    for (const line of [
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-key: abc==',
      'x-e: \xe9',
    ]) {
      assert.ok(asked.includes(line), `${line} in ${asked.join()}`)
    }
    assert.ok(asked.includes('x-forwarded-for: 127.0.0.1'))
    client.socket.end()
    await until(() => client.closed)
    await idle()
  })

  test('of a WebSocket carries all that the app said before it left, also to a slow client', async () => {
    const bytes = 20 * 1024 * 1024
    await serve((socket) => {
      socket.write('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.end(Buffer.alloc(bytes, 'a'))
    })
    using client = new RawClient(port)
    client.send(['GET / HTTP/1.1', ...WEBSOCKET])
    client.socket.pause()
    await until(() => app.sockets[0]?.writableFinished || app.sockets[0]?.writableLength)
    client.socket.resume()
    await until(() => client.closed)
    assert.equal(client.received.split('\r\n\r\n')[1]?.length, bytes)
    await idle()
  })

  test('of a WebSocket that makes none, by method, version or a body, is an ordinary request', async () => {
    await serve((socket) => socket.write(OK))
    for (const [line, body] of [
      ['POST / HTTP/1.1', 'x'],
      ['GET / HTTP/1.1', 'x'],
      ['GET / HTTP/1.0', ''],
      ['OPTIONS / HTTP/1.1', ''],
    ] as const) {
      using client = new RawClient(port)
      client.send([line, ...WEBSOCKET, ...(body ? [`Content-Length: ${body.length}`] : [])], body)
      await client.gets(/ok$/)
    }
    assert.doesNotMatch(app.received(), /upgrade/i)
  })

  test('is forgotten when the client gives up before the app has answered', async () => {
    await serve(() => undefined)
    const client = new RawClient(port)
    client.send(['GET / HTTP/1.1', ...WEBSOCKET])
    await until(() => app.received().includes('GET'))
    assert.equal(opened.router.inFlight(id), 1)
    client.socket.end()
    await idle()
    await until(() => app.sockets.every((socket) => socket.destroyed))
    client.socket.destroy()
  })

  test('of a WebSocket goes to the next replica where one refuses the connection', async () => {
    const sockets = await opened.listen((socket) =>
      socket.write('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello'),
    )
    id = await opened.serve(sockets.port, ['127.0.0.2', '127.0.0.3', '127.0.0.1'])
    for (let turn = 0; turn < 6; turn++) {
      using client = new RawClient(port)
      client.send(['GET / HTTP/1.1', ...WEBSOCKET])
      await client.gets(/hello$/)
    }
    assert.equal(sockets.sockets.length, 6)
    await idle()
  })

  test('of a WebSocket to an app that is down gets the 502 page', async () => {
    await opened.serve(await freePort())
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host: 'shop.test.example' } })
    socket.on('error', () => undefined)
    const [, { statusCode, headers }] = (await once(socket, 'unexpected-response')) as [
      unknown,
      { statusCode: number; headers: Record<string, string> },
    ]
    assert.deepEqual([statusCode, headers['x-longshore-router'], headers.connection], [502, '502', 'close'])
    socket.terminate()
  })
})
