import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { answerHeaders, forwardedHeaders } from '../../src/engine/routing/headers.js'
import { containerLabels, forbiddenLabels, ownLabels } from '../../src/engine/routing/labels.js'
import { asksForWebSocket, headWithoutOffer } from '../../src/engine/http1/upgrade-offers.js'

describe('the labels of a container', () => {
  const request = {
    container: 'blog-abc123def456',
    port: 3000,
    baseDomain: 'paas.test',
    instanceId: 'inst',
    appId: 'app1',
    deploymentId: 'abc123def456',
    epoch: 3,
    carries: null,
  }

  test('are Traefik’s three and our four, exactly', () => {
    const lines = Object.entries(containerLabels(request)).map(([name, value]) => `${name}=${value}`)
    assert.deepEqual(lines.sort(), [
      'longshore.app=app1',
      'longshore.deployment=abc123def456',
      'longshore.epoch=3',
      'longshore.instance=inst',
      'traefik.enable=true',
      'traefik.http.routers.blog-abc123def456.rule=Host(`blog-abc123def456.paas.test`)',
      'traefik.http.services.blog-abc123def456.loadbalancer.server.port=3000',
    ])
  })

  test('carry the stage’s host as well where labels alone route, the same in all its deployments', () => {
    const carries = { stageId: 'stage1', host: 'blog.paas.test' }
    const three = Object.entries(containerLabels(request))
    const labels = Object.entries(containerLabels({ ...request, carries }))
    for (const label of three) assert.ok(labels.some((one) => one.join('=') === label.join('=')))
    assert.deepEqual(
      labels.slice(three.length).map(([name, value]) => `${name}=${value}`),
      [
        'traefik.http.routers.blog-abc123def456.service=blog-abc123def456',
        'traefik.http.routers.longshore-stage1-retry.rule=Host(`blog.paas.test`)',
        'traefik.http.routers.longshore-stage1-retry.service=longshore-stage1',
        'traefik.http.routers.longshore-stage1-retry.middlewares=longshore-stage1-retry',
        'traefik.http.middlewares.longshore-stage1-retry.retry.attempts=10',
        'traefik.http.middlewares.longshore-stage1-retry.retry.initialinterval=50ms',
        'traefik.http.services.longshore-stage1.loadbalancer.server.port=3000',
      ],
    )
    const next = { ...request, container: 'blog-zzz', deploymentId: 'zzz', carries }
    const ofStage = (of: Record<string, string>) =>
      Object.entries(of).filter(([name]) => name.includes('longshore-stage1'))
    assert.deepEqual(ofStage(containerLabels(next)), ofStage(Object.fromEntries(labels)))
  })

  test('of an image are the same three of ours', () => {
    assert.deepEqual(ownLabels('i', 'a', 'd'), {
      'longshore.instance': 'i',
      'longshore.app': 'a',
      'longshore.deployment': 'd',
    })
  })

  test('may not be Traefik’s where an image brings them along, in whatever case', () => {
    const labels = {
      'traefik.enable': 'x',
      'Traefik.http.routers.a.rule': 'x',
      traefikish: 'x',
      'a.traefik.b': 'x',
    }
    assert.deepEqual(forbiddenLabels(labels), ['traefik.enable', 'Traefik.http.routers.a.rule'])
  })
})

/** Requests as Node reads them from a real connection: its own merging and lower-casing is part of it. */
const server = createServer()
let port = 0
before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
const sockets: Socket[] = []
after(() => {
  for (const socket of sockets) socket.destroy() // an upgraded one is not the server's any more
  server.close()
})

async function received(
  lines: readonly string[],
  event: 'request' | 'upgrade' = 'request',
): Promise<IncomingMessage> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(`GET /path?q=1 HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  const [incoming] = (await once(server, event)) as [IncomingMessage]
  sockets.push(socket, incoming.socket)
  return incoming
}

const HOST = 'Host: blog.paas.test:8000'

describe('the headers that an app gets', () => {
  test('are the client’s, and who asked for what host', async () => {
    const headers = forwardedHeaders(
      await received([HOST, 'Cookie: a=1; b=2', 'Accept: x', 'Authorization: Bearer t']),
    )
    assert.deepEqual(
      { ...headers },
      {
        host: 'blog.paas.test:8000',
        cookie: 'a=1; b=2',
        accept: 'x',
        authorization: 'Bearer t',
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-host': 'blog.paas.test:8000',
        'x-forwarded-proto': 'http',
        'x-real-ip': '127.0.0.1',
      },
    )
  })

  test('are without those of the connection, and without those that it names', async () => {
    const connection = ['Connection: keep-alive, X-Hop , x-other', 'X-Hop: 1', 'X-Other: 2', 'X-Stays: 3']
    const hops = ['Keep-Alive: timeout=5', 'TE: gzip', 'Trailer: x', 'Upgrade: h2c', 'Proxy-Connection: a']
    const proxy = ['Proxy-Authorization: Basic x', 'Proxy-Authenticate: Basic']
    const headers = forwardedHeaders(await received([HOST, ...connection, ...hops, ...proxy]))
    const own = ['host', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'x-stays']
    assert.deepEqual(Object.keys(headers).sort(), own)
  })

  test('cannot be forged where they say who asked, also not by naming them in Connection', async () => {
    const forged = ['X-Forwarded-For: 6.6.6.6', 'x-forwarded-host: evil', 'X-FORWARDED-PROTO: https']
    const named = 'Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto'
    for (const lines of [forged, [...forged, ...forged], [...forged, named]]) {
      const headers = forwardedHeaders(await received([HOST, ...lines]))
      assert.equal(headers['x-forwarded-for'], '127.0.0.1')
      assert.equal(headers['x-forwarded-host'], 'blog.paas.test:8000')
      assert.equal(headers['x-forwarded-proto'], 'http')
    }
  })

  test('have no other X-Forwarded header that the client made up', async () => {
    const headers = forwardedHeaders(
      await received([
        HOST,
        'X-Forwarded-Port: 443',
        'X-Forwarded-Prefix: /evil',
        'X-Forwarded-Server: evil',
      ]),
    )
    const names = Object.keys(headers).filter((name) => name.startsWith('x-forwarded-'))
    assert.deepEqual(names.sort(), ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'])
  })

  test('keep the host where a client names it in Connection', async () => {
    const headers = forwardedHeaders(await received([HOST, 'Connection: close, Host']))
    assert.equal(headers.host, 'blog.paas.test:8000')
  })
})

describe('an offer to upgrade', () => {
  const offer = (lines: readonly string[]) => received([HOST, ...lines], 'upgrade')

  test('asks for a WebSocket by a token in any case, with GET, HTTP/1.1 and no body', async () => {
    for (const value of ['websocket', 'WebSocket', 'h2c , WEBSOCKET', 'websocket,h2c']) {
      assert.equal(asksForWebSocket(await offer(['Connection: Upgrade', `Upgrade: ${value}`])), true, value)
    }
    for (const value of ['h2c', 'websockets', 'x-websocket', 'websocket/13']) {
      assert.equal(asksForWebSocket(await offer(['Connection: Upgrade', `Upgrade: ${value}`])), false, value)
    }
    const body = ['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 1']
    assert.equal(asksForWebSocket(await offer(body)), false)
  })

  test('is taken out of the head of a request, of which the rest stays as it was sent', async () => {
    const own = ['Cookie: a=1', 'COOKIE: b=2', 'X-E: \xe9', 'Content-Length: 3']
    const connection = ['Connection: Upgrade, X-Hop', 'connection: HTTP2-Settings, keep-alive']
    const incoming = await offer([...connection, 'Upgrade: h2c', 'HTTP2-Settings: AAA', ...own])
    assert.deepEqual(headWithoutOffer(incoming).toString('latin1').split('\r\n'), [
      'GET /path?q=1 HTTP/1.1',
      HOST,
      ...own,
      'Connection: X-Hop, keep-alive',
      '',
      '',
    ])
    const bare = headWithoutOffer(await offer(['Connection: Upgrade', 'Upgrade: h2c'])).toString()
    assert.equal(bare, `GET /path?q=1 HTTP/1.1\r\n${HOST}\r\n\r\n`)
  })
})

describe('the headers of an answer', () => {
  test('keep their case, order and repetition, without those of the connection', () => {
    const raw = [
      'Set-Cookie',
      'a=1',
      'Connection',
      'keep-alive',
      'set-cookie',
      'b=2',
      'KEEP-ALIVE',
      'timeout=5',
      'X-A',
      '',
    ]
    assert.deepEqual(answerHeaders(raw), ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X-A', ''])
    for (const name of [
      'Proxy-Authenticate',
      'Transfer-Encoding',
      'TE',
      'Trailer',
      'Upgrade',
      'Proxy-Connection',
    ]) {
      assert.deepEqual(answerHeaders([name, 'x']), [], name)
    }
  })

  test('are without those that its Connection header names', () => {
    assert.deepEqual(answerHeaders(['Connection', 'close, X-Hop', 'X-Hop', '1', 'X-A', '2']), ['X-A', '2'])
  })
})
