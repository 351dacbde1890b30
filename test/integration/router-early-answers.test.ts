import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { openRawShop, RawClient, type RawShop } from '../support/raw.js'
import { freePort, until } from '../support/server.js'

const MIB = 1024 * 1024
/** Without the end that is tested here the router reads on for 30 s. */
const DRAINED_MS = 25_000
const TOO_LARGE = 'HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig'
const IN_CHUNKS = 'HTTP/1.1 401 Who\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwho\r\n0\r\n\r\n'

describe('an app that answers before it has the whole request', () => {
  let opened: RawShop
  let answer: (socket: Socket, piece: Buffer) => void
  let id = ''
  let port = 0

  before(async () => {
    opened = await openRawShop()
    port = opened.router.port()
    const app = await opened.listen((socket, piece) => answer(socket, piece))
    id = await opened.serve(app.port)
  })
  after(() => opened[Symbol.asyncDispose]())

  const idle = () => until(() => opened.router.inFlight(id) === 0)

  /** A client that reads nothing before it has sent everything, as many simple ones do. */
  async function sendAll(bytes: number, lines: readonly string[] = []): Promise<RawClient> {
    const client = new RawClient(port)
    client.socket.pause()
    client.send(['POST / HTTP/1.1', `Content-Length: ${bytes}`, ...lines])
    const closed = new Promise((resolve) => client.socket.once('close', resolve))
    for (let left = bytes; left > 0; left -= MIB) {
      const piece = Buffer.alloc(Math.min(left, MIB))
      const sent = new Promise<unknown>((resolve) => client.socket.write(piece, resolve))
      await Promise.race([sent, closed])
    }
    client.socket.resume()
    return client
  }

  for (const [what, said] of [
    ['of a length', TOO_LARGE],
    ['in chunks', IN_CHUNKS],
  ] as const) {
    for (const [closing, close] of [
      ['closes', (socket: Socket) => socket.destroySoon()],
      ['reads no more', (socket: Socket) => socket.pause()],
    ] as const) {
      for (const lines of [[], ['Connection: close']]) {
        test(`${what}, and ${closing}: who sends everything first gets it${lines.length ? ', with close' : ''}`, async () => {
          answer = (socket) => {
            socket.removeAllListeners('data')
            socket.write(said)
            close(socket)
          }
          const begun = Date.now()
          using client = await sendAll(20 * MIB, lines)
          await client.gets(
            /^HTTP\/1\.1 4\d\d [^]*\r\nConnection: close\r\n([^]*\r\n)?\r\n(big$|3\r\nwho\r\n0\r\n\r\n$)/,
          )
          await until(() => client.closed)
          assert.ok(Date.now() - begun < DRAINED_MS, `${Date.now() - begun} ms`)
          await idle()
        })
      }
    }
  }

  test('is not waited for longer than a second where the client sends no more', async () => {
    answer = (socket) => socket.end(IN_CHUNKS)
    using client = new RawClient(port)
    client.send(['POST / HTTP/1.1', 'Content-Length: 1000'], 'some')
    const begun = Date.now()
    await until(() => client.closed)
    assert.ok(Date.now() - begun < DRAINED_MS)
    assert.match(client.received, /^HTTP\/1\.1 401 Who\r\n[^]*\r\n\r\n3\r\nwho\r\n0\r\n\r\n$/)
    await idle()
  })

  test('is not fed by a client that never ends', async () => {
    answer = (socket) => socket.end(TOO_LARGE)
    using client = new RawClient(port)
    client.send(['POST / HTTP/1.1', `Content-Length: ${1024 * MIB}`])
    let sent = 0
    const more = () => {
      while (!client.closed && sent < 1024 && client.socket.write(Buffer.alloc(MIB))) sent += 1
      sent += 1
    }
    client.socket.on('drain', more)
    more()
    await until(() => client.closed)
    assert.ok(sent < 200, `${sent} MiB`)
    await idle()
  })

  test('and whose connection breaks while the body is written is still heard', async () => {
    // In one turn of the loop, so that the router writes to a broken connection before it has read from it.
    using client = new RawClient(port)
    answer = (socket) => {
      socket.pause()
      client.socket.write(Buffer.alloc(MIB))
      socket.write(TOO_LARGE)
      socket.destroy()
    }
    client.send(['POST / HTTP/1.1', `Content-Length: ${MIB + 4}`], 'some')
    await client.gets(/^HTTP\/1\.1 413 Too Large\r\n[^]*big$/)
    await idle()
  })

  test('that breaks off without an answer is a 502, at once and for who sends everything first', async () => {
    answer = (socket) => socket.destroy()
    using client = await sendAll(20 * MIB)
    await client.gets(/^HTTP\/1\.1 502 [^]*<\/html>/)
    await idle()
  })

  test('and goes on answering while it reads keeps being fed', async () => {
    let got = 0
    answer = (socket, piece) => {
      if (got === 0) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      got += piece.length
      if (piece.includes('end')) socket.end(`3\r\nall\r\n0\r\n\r\n`)
      else socket.write('1\r\n.\r\n')
    }
    using client = new RawClient(port)
    client.send(['POST / HTTP/1.1', `Content-Length: ${3 * MIB + 4}`], '.')
    await client.gets(/200 OK/)
    for (let turn = 0; turn < 3; turn++) client.socket.write(Buffer.alloc(MIB))
    client.socket.write('end')
    await client.gets(/all\r\n0\r\n\r\n$/)
    assert.ok(got > 3 * MIB)
    await idle()
  })

  test('that is down is a 502 for who sends everything first', async () => {
    await opened.serve(await freePort())
    using client = await sendAll(20 * MIB)
    await client.gets(/^HTTP\/1\.1 502 [^]*<\/html>/)
  })
})
