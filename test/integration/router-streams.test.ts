import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import type { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { openRouter } from '../support/routers.js'
import { until } from '../support/server.js'

const MIB = 1024 * 1024
const HOST = 'shop.test.example'

describe('streams through the router', () => {
  let opened: Awaited<ReturnType<typeof openRouter>>
  let router: BuiltinRouter
  let handle: (incoming: IncomingMessage, response: ServerResponse) => void
  const app = createServer((incoming, response) => handle(incoming, response))
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

  const ask = (options: object = {}) =>
    request({ host: '127.0.0.1', port: router.port(), agent: false, ...options })
  const idle = () => until(() => router.inFlight(id) === 0)

  test('streams 20 MiB of request and of answer: both begin to arrive long before they end', async () => {
    const [first, rest] = [Buffer.from('begin'), randomBytes(20 * MIB)]
    const whole = createHash('sha256').update(first).update(rest).digest('hex')
    handle = (incoming, response) => void echo(incoming, response)
    const outgoing = ask({ method: 'POST', headers: { host: HOST } })
    outgoing.write(first)
    // Comes back although the request has not ended: nothing on the way collects a body.
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    const [begun] = (await once(answer, 'data')) as [Buffer]
    assert.equal(begun.toString(), 'begin')
    assert.equal(router.inFlight(id), 1)
    const hash = createHash('sha256').update(begun)
    answer.on('data', (bytes: Buffer) => hash.update(bytes))
    outgoing.end(rest)
    await once(answer, 'end')
    assert.equal(hash.digest('hex'), whole)
    await idle()
  })

  test('makes the app wait while the client does not read', async () => {
    let sent = 0
    handle = (_incoming, response) => {
      response.on('error', () => undefined)
      const more = () => {
        while (sent < 256 && response.write(Buffer.alloc(MIB))) sent += 1
        if (sent >= 256) response.end()
        else sent += 1
      }
      response.on('drain', more)
      more()
    }
    const socket = connect(router.port(), '127.0.0.1').pause()
    socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)
    const stalledAt = await standstill(() => sent)
    assert.ok(stalledAt < 100, `the app got rid of ${stalledAt} MiB`)
    let received = 0
    socket.on('data', (bytes: Buffer) => (received += bytes.length)).resume()
    await once(socket, 'close')
    assert.ok(received >= 256 * MIB, `${received} bytes came`)
  })

  test('makes the client wait while the app does not read', async () => {
    let start: () => void = () => undefined
    handle = (incoming, response) => {
      let received = 0
      start = () => {
        incoming.on('data', (bytes: Buffer) => (received += bytes.length))
        incoming.on('end', () => response.end(String(received)))
      }
    }
    const outgoing = ask({ method: 'PUT', headers: { host: HOST } })
    let sent = 0
    const more = () => {
      while (sent < 256 && outgoing.write(Buffer.alloc(MIB))) sent += 1
      if (sent >= 256) outgoing.end()
      else sent += 1
    }
    outgoing.on('drain', more)
    more()
    const stalledAt = await standstill(() => sent)
    assert.ok(stalledAt < 100, `the client got rid of ${stalledAt} MiB`)
    start()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    assert.equal(Number(await text(answer)) % MIB, 0)
    assert.ok(sent >= 256)
  })

  test('hands the head of an answer on before there is a body', async () => {
    let begin: () => void = () => undefined
    handle = (_incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      begin = () => response.end('late')
    }
    const outgoing = ask({ headers: { host: HOST } }).end()
    const [answer] = (await once(outgoing, 'response', { signal: AbortSignal.timeout(60_000) })) as [
      IncomingMessage,
    ]
    begin()
    assert.equal(await text(answer), 'late')
    await idle()
  })

  test('lets server-sent events through one by one', async () => {
    const open: ServerResponse[] = []
    handle = (_incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: 0\n\n')
      open.push(response)
    }
    const outgoing = ask({ headers: { host: HOST } }).end()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    for (let event = 0; event < 5; event++) {
      const [bytes] = (await once(answer, 'data')) as [Buffer]
      assert.equal(bytes.toString(), `data: ${event}\n\n`)
      open[0]?.write(`data: ${event + 1}\n\n`) // the next only after this one has come
    }
    outgoing.destroy()
    await until(() => open[0]?.destroyed || open[0]?.closed)
    await idle()
  })
})

/** Waits until `count` has begun and then stays the same for half a second; gives it. */
async function standstill(count: () => number): Promise<number> {
  let last = 0
  let since = Date.now()
  await until(() => {
    if (count() !== last || last === 0) since = Date.now()
    last = count()
    return Date.now() - since > 500
  })
  return last
}

async function echo(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  for await (const bytes of incoming) if (!response.write(bytes)) await once(response, 'drain')
  response.end()
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
