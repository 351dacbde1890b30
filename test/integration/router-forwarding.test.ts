import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import type { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { createHttp } from '../../src/engine/routing/listeners.js'
import { openRouter } from '../support/routers.js'
import { fetchHost, freePort, until } from '../support/server.js'

const HOST = 'shop.test.example'

describe('the router', () => {
  let opened: Awaited<ReturnType<typeof openRouter>>
  let router: BuiltinRouter
  let handle: (incoming: IncomingMessage, response: ServerResponse) => void
  // It takes larger heads than the router.
  const app = createServer({ maxHeaderSize: 64 * 1024 }, (incoming, response) => handle(incoming, response))
  let id = ''
  let shut = ''

  before(async () => {
    opened = await openRouter()
    router = opened.router
    id = await opened.run('shop', await listen(app))
    shut = await opened.run('shut', await freePort())
  })
  after(async () => {
    await opened[Symbol.asyncDispose]()
    app.closeAllConnections()
    await new Promise((resolve) => app.close(resolve))
  })

  const ask = (options: object = {}) =>
    request({ host: '127.0.0.1', port: router.port(), agent: false, ...options })
  const idle = () => until(() => router.inFlight(id) === 0)
  /** Headers as the app gets them. */
  async function headersFor(headers: object): Promise<Record<string, string>> {
    handle = (incoming, response) => response.end(JSON.stringify(incoming.headers))
    const outgoing = ask({ headers: { host: HOST, ...headers } }).end()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    return JSON.parse(await text(answer)) as Record<string, string>
  }

  test("answers at the stage's host and at the deployment's own, in any case, with a port or a last dot", async () => {
    handle = (_incoming, response) => response.end('the shop')
    const hosts = [HOST, `shop-${id}.test.example`, 'SHOP.Test.Example', `${HOST}:8080`, `${HOST}.`]
    for (const host of hosts) {
      assert.deepEqual(await fetchHost(router.port(), host), { status: 200, body: 'the shop' }, host)
    }
  })

  test('shows a 404 page for an unknown host, a 400 page for one that is none, and escapes it', async () => {
    for (const [host, expected] of [
      ['nobody.test.example', 404],
      ['test.example', 404],
      ['x.shop.test.example', 404],
      ['<script>alert(1)</script>', 400],
      [`${HOST}/x`, 400],
      [`me@${HOST}`, 400],
    ] as const) {
      const { status, body } = await fetchHost(router.port(), host)
      assert.equal(status, expected, host)
      assert.doesNotMatch(body, /<script/)
    }
    assert.match((await fetchHost(router.port(), '<b>"x"')).body, /&#60;b&#62;&#34;x&#34;/)
  })

  test('shows a 502 page while the app is down, and counts nothing as under way', async () => {
    const { status, body } = await fetchHost(router.port(), 'shut.test.example')
    assert.equal(status, 502)
    assert.match(body, /does not answer/)
    await until(() => router.inFlight(shut) === 0)
  })

  test('breaks an answer off where the app does, instead of ending it as if it were whole', async () => {
    handle = (_incoming, response) => {
      response.write('half')
      setImmediate(() => response.destroy())
    }
    await assert.rejects(fetchHost(router.port(), HOST))
    await idle()
  })

  test('passes method, path, status, repeated headers and an answer without a body on as they are', async () => {
    handle = (incoming, response) => {
      response.writeHead(207, 'Some Words', [
        ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
        ...['X-Asked', `${incoming.method} ${incoming.url}`, 'Content-Length', '17'],
      ])
      response.end()
    }
    const outgoing = ask({ method: 'HEAD', path: '/a%2Fb//c?q=%00&q=2', headers: { host: HOST } }).end()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    assert.equal(answer.statusCode, 207)
    assert.equal(answer.statusMessage, 'Some Words')
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(answer.headers['x-asked'], 'HEAD /a%2Fb//c?q=%00&q=2')
    assert.equal(answer.headers['content-length'], '17')
    assert.equal(await text(answer), '')
  })

  test('tells the app who asked for which host, whatever the client claims', async () => {
    const forged = {
      'X-Forwarded-For': '6.6.6.6',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Port': '666',
      Forwarded: 'for=6.6.6.6',
      Connection: 'X-Forwarded-For, X-Forwarded-Host',
    }
    const headers = await headersFor({ host: `${HOST}:99`, ...forged })
    assert.equal(headers.host, `${HOST}:99`)
    assert.equal(headers['x-forwarded-for'], '127.0.0.1')
    assert.equal(headers['x-forwarded-host'], `${HOST}:99`)
    assert.equal(headers['x-forwarded-proto'], 'http')
    assert.equal(headers['x-forwarded-port'], undefined)
    assert.equal(headers.forwarded, undefined)
  })

  test('cannot be told otherwise by another spelling, which apps behind CGI, WSGI and Rack read as the same', async () => {
    const headers = await headersFor({
      ...{ X_Forwarded_For: '6.6.6.6', 'X-Forwarded_Host': 'evil', 'x.forwarded.proto': 'https' },
      ...{ 'X-Real-IP': '6.6.6.6', X_Real_IP: '6.6.6.6', 'X_Forwarded-Port': '1', For_Warded: 'stays' },
    })
    const names = Object.keys(headers).filter((name) => /forwarded|real/.test(name))
    assert.deepEqual(names.sort(), ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'])
    assert.equal(headers['x-real-ip'], '127.0.0.1')
    assert.equal(headers.for_warded, 'stays')
  })

  test('keeps the frame of a body that Connection names: what follows it is no request of its own', async () => {
    const seen: string[] = []
    handle = (incoming, response) => {
      seen.push(`${incoming.method} ${incoming.url}`)
      void text(incoming).then((body) => response.end(body))
    }
    const hidden = 'GET /hidden HTTP/1.1\r\nHost: evil\r\n\r\n'
    for (const frame of [
      ['Connection: close, Content-Length', `Content-Length: ${hidden.length}`],
      ['Connection: close, Transfer-Encoding', 'Transfer-Encoding: chunked'],
      // More headers than Node.js shows.
      ['Connection: close', ...Array<string>(2_100).fill('A: b'), `Content-Length: ${hidden.length}`],
    ]) {
      const socket = connect(router.port(), '127.0.0.1')
      const isChunked = frame.at(-1)?.startsWith('Transfer')
      const body = isChunked ? `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n` : hidden
      socket.write(`DELETE / HTTP/1.1\r\nHost: ${HOST}\r\n${frame.join('\r\n')}\r\n\r\n${body}`)
      assert.ok((await text(socket)).includes('GET /hidden'))
    }
    assert.deepEqual(seen, ['DELETE /', 'DELETE /', 'DELETE /'])
    await idle()
  })

  test('answers HTTP/1.0 without chunks, and ends the connection after an answer without a length', async () => {
    handle = (incoming, response) => {
      if (incoming.url === '/length') response.setHeader('content-length', 5)
      response.write('whole')
      response.end()
    }
    for (const [path, lines] of [
      ['/', []],
      ['/', ['Connection: keep-alive']],
      ['/length', []],
    ] as const) {
      const socket = connect(router.port(), '127.0.0.1')
      socket.write(`GET ${path} HTTP/1.0\r\n${[`Host: ${HOST}`, ...lines].join('\r\n')}\r\n\r\n`)
      const answer = await text(socket)
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n([^]*\r\n)?Connection: close\r\n\r\nwhole$/i)
      assert.doesNotMatch(answer, /transfer-encoding/i)
    }
    await idle()
  })

  test('answers 431 to a head of more than 32 KiB, and no later than a minute does the head have to be there', async () => {
    handle = (_incoming, response) => response.end('small enough')
    for (const [kib, status] of [
      [31, 200],
      [33, 431],
    ] as const) {
      const socket = connect(router.port(), '127.0.0.1')
      socket.on('error', () => undefined)
      const lines = [`Host: ${HOST}`, `X-Large: ${'x'.repeat(kib * 1024)}`, 'Connection: close']
      socket.write(`GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
      assert.match(await text(socket), new RegExp(`^HTTP/1\\.1 ${status} `), `${kib} KiB`)
    }
    const nobody = () => assert.fail('nobody asks')
    assert.equal(createHttp({ request: nobody, upgrade: nobody }).headersTimeout, 60_000)
    await idle()
  })

  test('passes 63 KiB of response headers on, and its probe takes them too', async () => {
    const values = Array.from({ length: 63 }, (_, index) => `${index}=${'x'.repeat(1_000)}`)
    handle = (_incoming, response) => response.writeHead(200, { 'Set-Cookie': values }).end()
    const outgoing = ask({ headers: { host: HOST }, maxHeaderSize: 128 * 1024 }).end()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    assert.equal(answer.statusCode, 200)
    assert.deepEqual(answer.headers['set-cookie'], values)
    answer.destroy()
    const host = `shop-${id}.test.example`
    const probe = { host, path: '/', timeoutMs: 2_000, addresses: [], port: 80 }
    assert.equal(await router.probe(probe), null)
    handle = (_incoming, response) =>
      response.writeHead(200, { 'Set-Cookie': [...values, 'y'.repeat(2_000)] }).end()
    assert.match((await router.probe(probe)) ?? '', /was answered 502 by the router itself$/)
    await idle()
  })

  test('removes the headers of one hop both ways, also those that Connection names', async () => {
    const sent = {
      Connection: 'close, X-Hop',
      'X-Hop': '1',
      'Proxy-Authorization': 'x',
      TE: 'trailers',
      'X-End': '2',
    }
    const headers = await headersFor(sent)
    for (const name of ['x-hop', 'proxy-authorization']) assert.equal(headers[name], undefined, name)
    assert.equal(headers['x-end'], '2')

    handle = (_incoming, response) => {
      response.writeHead(200, {
        Connection: 'X-Inner',
        'X-Inner': '1',
        'Proxy-Authenticate': 'x',
        'X-End': '2',
      })
      response.end()
    }
    const outgoing = ask({ headers: { host: HOST } }).end()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    answer.resume()
    assert.equal(answer.headers['x-inner'], undefined)
    assert.equal(answer.headers['proxy-authenticate'], undefined)
    assert.equal(answer.headers['x-end'], '2')
  })
})

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
