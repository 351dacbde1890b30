import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, describe, test } from 'node:test'
import { HOST, openRawShop, RawClient, type RawShop } from '../support/raw.js'
import { until } from '../support/server.js'

/** What RFC 9110 and 9112 demand of whoever stands between a client and an app. */
describe('the router, as a proxy of HTTP', () => {
  let opened: RawShop
  let handle: (incoming: IncomingMessage, response: ServerResponse) => void = () => undefined
  const app = createServer({ requireHostHeader: false }, (incoming, response) => handle(incoming, response))
  app.on('checkContinue', (incoming, response) => handle(incoming, response))
  const clients: RawClient[] = []
  let port = 0

  before(async () => {
    opened = await openRawShop()
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
    port = (app.address() as AddressInfo).port
  })
  afterEach(() => {
    for (const client of clients.splice(0)) client[Symbol.dispose]()
  })
  after(async () => {
    app.close().closeAllConnections()
    await opened[Symbol.asyncDispose]()
  })

  async function client(): Promise<RawClient> {
    await opened.serve(port)
    return raw()
  }
  function raw(): RawClient {
    const made = new RawClient(opened.router.port())
    clients.push(made)
    return made
  }
  /** A request as it is written, to its end. */
  async function exchange(request: string): Promise<string> {
    const asked = await client()
    asked.socket.write(request)
    await until(() => asked.closed)
    return asked.received
  }
  const echo = (incoming: IncomingMessage, response: ServerResponse) =>
    response.end(JSON.stringify({ method: incoming.method, url: incoming.url, headers: incoming.headers }))
  const seenIn = (answer: string) =>
    JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as {
      url: string
      headers: Record<string, string>
    }

  describe('an expectation of 100', () => {
    test('is for the app to meet: the body comes once it has', async () => {
      let proceed = () => {}
      let isAsked = false
      handle = (incoming, response) => {
        isAsked = true
        assert.equal(incoming.headers.expect, '100-continue')
        proceed = () => {
          response.writeContinue()
          void text(incoming).then((body) => response.end(`got ${body}`))
        }
      }
      const asked = await client()
      asked.send(['POST / HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 4'])
      await until(() => isAsked)
      assert.equal(asked.received, '')
      proceed()
      await asked.gets(/^HTTP\/1\.1 100 Continue\r\n\r\n$/)
      asked.socket.write('body')
      const answer = await asked.gets(/got body/)
      assert.doesNotMatch(answer, /connection: close/i)
    })

    test('is for the app to refuse: the body is never sent', async () => {
      handle = (_incoming, response) => response.writeHead(413, { 'content-length': 0 }).end()
      const asked = await client()
      asked.send(['PUT / HTTP/1.1', 'Expect: 100-continue', 'Transfer-Encoding: chunked'])
      assert.match(await asked.gets(/\r\n\r\n/), /^HTTP\/1\.1 413 /)
      await until(() => asked.closed)
    })

    test('is none where nobody could be told: HTTP/1.0', async () => {
      handle = echo
      const asked = `POST / HTTP/1.0\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx`
      assert.equal(seenIn(await exchange(asked)).headers.expect, undefined)
    })
  })

  describe('trailers', () => {
    test('of a request and of an answer are passed on, with what announces them', async () => {
      let trailers: NodeJS.Dict<string> = {}
      let te: string | undefined
      handle = (incoming, response) => {
        te = String(incoming.headers.te)
        response.writeHead(200, { trailer: incoming.headers.trailer ?? 'none' })
        response.write('a')
        void text(incoming).then(() => {
          trailers = incoming.trailers
          response.addTrailers({ 'Grpc-Status': '0', 'Content-Type': 'x/y', 'X-Sum': 'é' })
          response.end()
        })
      }
      const end = 'X-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\nHost: evil\r\nProxy: evil\r\n'
      const head = `POST / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close, TE\r\nTE: gzip, trailers\r\nTrailer: X-Sum\r\n`
      const answer = await exchange(`${head}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n${end}\r\n`)
      assert.deepEqual({ ...trailers }, { 'x-sum': '1' })
      assert.equal(te, 'trailers')
      assert.match(answer, /\r\ntrailer: X-Sum\r\n/i)
      assert.match(answer, /\r\n0\r\nGrpc-Status: 0\r\nX-Sum: \xe9\r\n\r\n$/)
    })

    test('are left out where an answer has no chunks, and nothing else of it', async () => {
      const upstream = await opened.listen((socket, piece) => {
        const body = piece.includes('HEAD') ? '' : '1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n'
        socket.write(`HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${body}`)
      })
      await opened.serve(upstream.port)
      for (const [line, body] of [
        ['GET / HTTP/1.0', 'a'],
        ['HEAD / HTTP/1.1', ''],
      ]) {
        const asked = raw()
        asked.send([line ?? '', 'Connection: close'])
        await until(() => asked.closed)
        const answer = asked.received
        assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
        assert.doesNotMatch(answer, /X-Sum/i)
        assert.equal(answer.split('\r\n\r\n')[1], body)
      }
    })
  })

  describe('targets', () => {
    for (const [target, host, url] of [
      [`http://${HOST}/a?b=c`, HOST, '/a?b=c'],
      [`HTTP://${HOST}`, HOST, '/'],
      [`https://${HOST}:99?x`, `${HOST}:99`, '/?x'],
    ] as const) {
      test(`${target}: its host takes the place of Host, and apps get a path`, async () => {
        handle = echo
        const answer = await exchange(
          `GET ${target} HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n`,
        )
        const seen = seenIn(answer)
        assert.deepEqual([seen.headers.host, seen.url], [host, url])
        assert.equal(seen.headers['x-forwarded-host'], host)
      })
    }

    test('of no host, of somebody, or of another protocol are refused', async () => {
      handle = echo
      for (const target of ['http:///x', `http://me@${HOST}/`, `ftp://${HOST}/`, '*']) {
        const answer = await exchange(`GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)
        assert.match(answer, /^HTTP\/1\.1 400 /, target)
      }
    })

    test('of OPTIONS may be the whole server', async () => {
      handle = echo
      for (const target of ['*', `http://${HOST}`]) {
        const answer = await exchange(
          `OPTIONS ${target} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`,
        )
        assert.equal(seenIn(answer).url, '*', target)
      }
    })
  })

  test('passes OPTIONS on as often as Max-Forwards says', async () => {
    handle = echo
    const ask = (count: string) =>
      exchange(`OPTIONS / HTTP/1.1\r\nHost: ${HOST}\r\nMax-Forwards: ${count}\r\nConnection: close\r\n\r\n`)
    assert.equal(seenIn(await ask('3')).headers['max-forwards'], '2')
    assert.match(await ask('0'), /^HTTP\/1\.1 204 [^]*\r\nallow: GET, /i)
  })

  test('refuses what readers of HTTP take for different things', async () => {
    handle = () => assert.fail('nothing gets to the app')
    for (const head of [
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: ${HOST}`,
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\nhost: other.example`,
      `GET / HTTP/1.1\r\nHost: ${HOST}, other.example x`,
      `POST / HTTP/1.0\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked`,
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: ${HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade`,
    ]) {
      const answer = await exchange(`${head}\r\nConnection: close\r\n\r\n`)
      assert.match(answer, /^HTTP\/1\.1 400 /, head)
    }
  })

  test('answers methods that are for no app itself, and says which are', async () => {
    handle = () => assert.fail('nothing gets to the app')
    for (const [line, status] of [
      ['TRACE / HTTP/1.1', '405 '],
      [`CONNECT ${HOST}:443 HTTP/1.1`, '405 '],
      ['BREW /pot HTTP/1.1', '501 '],
      ['get / HTTP/1.1', '501 '],
      ['PRI * HTTP/2.0', '505 '],
      ['no HTTP at all', '400 '],
    ] as const) {
      const answer = await exchange(`${line}\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)
      assert.ok(answer.startsWith(`HTTP/1.1 ${status}`), `${line}: ${answer}`)
      if (status === '405 ') assert.match(answer, /\r\nallow: GET, HEAD, POST/i)
    }
  })

  test('drops Proxy, which programs of CGI take for HTTP_PROXY', async () => {
    handle = echo
    const answer = await exchange(
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\nProxy: http://evil:80\r\nX-Proxy: a\r\nConnection: close\r\n\r\n`,
    )
    const { headers } = seenIn(answer)
    assert.deepEqual([headers.proxy, headers['x-proxy']], [undefined, 'a'])
  })

  test('puts no answer of its own into one that is half-way out', async () => {
    handle = (_incoming, response) => void response.writeHead(200, { 'content-length': 100 }).write('half')
    const asked = await client()
    asked.send(['POST / HTTP/1.1', 'Transfer-Encoding: chunked'], '1\r\nx\r\n')
    await asked.gets(/half$/)
    asked.socket.write('no chunk\r\n')
    await until(() => asked.closed)
    assert.match(asked.received, /half$/)
  })
})
