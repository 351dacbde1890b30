import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { after, before, beforeEach, describe, test } from 'node:test'
import { AppAgent } from '../../src/engine/routing/app-agent.js'
import { HOST, openRawShop, type RawApp, RawClient, type RawShop } from '../support/raw.js'
import { askHost } from '../support/routing.js'
import { until } from '../support/server.js'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const TIME_OUT = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
/** More than a request is tried: each try could take one of them. */
const IDLE = 6

/** What an app may do with a connection that it has answered on, without having said so. */
const WAYS: Readonly<Record<string, (socket: Socket) => void>> = {
  'closes it': (socket) => socket.end(),
  'resets it': (socket) => void socket.resetAndDestroy(),
  'answers 408 because nothing came': (socket) => socket.end(TIME_OUT),
  'answers 408 and keeps it': (socket) => socket.write(TIME_OUT),
  'sends what was left of an answer': (socket) => socket.write('left over'),
  'begins an answer and closes it': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'),
}

describe('idle connections to an app', () => {
  let opened: RawShop
  let port = 0
  let app: RawApp
  let id = ''
  /** What the app does with a connection on which it has answered before, when the next request comes on it. */
  let again: (socket: Socket) => void = () => undefined
  /** The app answers when so many requests have come. */
  let wave = 1
  const waiting: Socket[] = []

  before(async () => {
    opened = await openRawShop()
    port = opened.router.port()
  })
  after(() => opened[Symbol.asyncDispose]())
  beforeEach(async () => {
    again = () => undefined
    wave = 1
    const answered = new WeakSet<Socket>()
    app = await opened.listen((socket) => {
      if (answered.has(socket)) return again(socket)
      answered.add(socket)
      waiting.push(socket)
      if (waiting.length === wave) for (const one of waiting.splice(0)) one.write(OK)
    }, '0.0.0.0')
    id = await opened.serve(app.port)
  })

  /** Leaves so many idle connections to the app. */
  async function fill(count: number): Promise<void> {
    wave = count
    const answers = await Promise.all(Array.from({ length: count }, () => askHost(port, HOST)))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    await until(() => opened.router.inFlight(id) === 0)
    wave = 1
  }

  for (const [way, act] of Object.entries(WAYS)) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'POST']) {
      test(`${method} is answered although the app ${way}`, async () => {
        again = act
        await fill(IDLE)
        using client = new RawClient(port)
        const body = method === 'POST' ? 'four' : ''
        client.send([`${method} / HTTP/1.1`, 'Connection: close', `Content-Length: ${body.length}`], body)
        await until(() => client.closed)
        assert.match(client.received, /^HTTP\/1\.1 200 OK\r\n/)
      })
    }
  }

  test('that say anything are closed, and what they said is nobody’s answer', async () => {
    const unasked = ['x', TIME_OUT, 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil']
    await fill(unasked.length)
    const closed = app.sockets.map((socket) => once(socket, 'close'))
    for (const [index, said] of unasked.entries()) app.sockets[index]?.write(said)
    await Promise.all(closed)
    assert.equal((await askHost(port, HOST)).body, 'ok')
  })

  test('that the app half-closes are closed', async () => {
    await fill(2)
    const closed = app.sockets.map((socket) => once(socket, 'close'))
    for (const socket of app.sockets) socket.end()
    await Promise.all(closed)
    assert.equal((await askHost(port, HOST)).status, 200)
  })

  test('are not what a request is left to that waits for its body', async () => {
    using client = new RawClient(port)
    client.send(['POST / HTTP/1.1', 'Connection: close', 'Content-Length: 4'])
    await until(() => opened.router.inFlight(id) === 1)
    await askHost(port, HOST)
    // As an app does that waits for nobody for long.
    for (const socket of app.sockets) if (socket.bytesRead === 0) socket.end(TIME_OUT)
    client.socket.write('four')
    await until(() => client.closed)
    assert.match(client.received, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(app.received(), /four$/)
  })

  test('leave a request that was tried on one with the replica whose turn it is', async () => {
    const answers = new Map<string, number>()
    const answer = (socket: Socket) => {
      const at = socket.localAddress ?? ''
      answers.set(at, (answers.get(at) ?? 0) + 1)
      socket.write(OK)
    }
    const asked = new WeakSet<Socket>()
    const two = await opened.listen((socket) => {
      if (asked.has(socket) && socket.localAddress === '127.0.0.1') return void socket.destroy()
      asked.add(socket)
      answer(socket)
    }, '0.0.0.0')
    await opened.serve(two.port, ['127.0.0.1', '127.0.0.2'])
    for (let turn = 0; turn < 12; turn++) assert.equal((await askHost(port, HOST)).status, 200)
    assert.deepEqual([...answers.values()], [6, 6])
  })

  test('do not make a request that every fresh connection fails last for ever', async () => {
    await fill(IDLE)
    again = (socket) => socket.destroy()
    wave = -1
    const before = app.sockets.length
    const failing = askHost(port, HOST)
    const dropAll = () => {
      for (const socket of waiting.splice(0)) socket.destroy()
      return app.sockets.length - before >= 3
    }
    await until(dropAll)
    assert.equal((await failing).status, 502)
    assert.equal(app.sockets.length - before, 3)
  })
})

test('a connection that stays idle is closed by the router first', async () => {
  await using opened = await openRawShop()
  const app = await opened.listen((socket) => socket.write(OK))
  const agent = new AppAgent(20)
  const asked = request({ port: app.port, host: '127.0.0.1', agent }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.resume()
  await until(() => app.sockets[0]?.closed)
})

test('a connection on which an answer takes longer than that is not closed', async () => {
  await using opened = await openRawShop()
  let answer: () => void = () => undefined
  const app = await opened.listen((socket) => (answer = () => socket.write(OK)))
  const agent = new AppAgent(20)
  const asked = request({ port: app.port, host: '127.0.0.1', agent }).end()
  const [socket] = (await once(asked, 'socket')) as [Socket]
  await once(socket, 'timeout')
  await until(() => app.received().endsWith('\r\n\r\n'))
  answer()
  const [{ statusCode }] = (await once(asked, 'response')) as [IncomingMessage]
  assert.equal(statusCode, 200)
  agent.destroy()
})
