import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { NO_PROXIES } from '../../src/engine/http1/trusted-proxies.js'
import { ThrottledLog } from '../../src/engine/throttled-log.js'
import { AppAgent } from '../../src/engine/routing/app-agent.js'
import { forward } from '../../src/engine/routing/forward.js'
import { InFlight } from '../../src/engine/routing/in-flight.js'
import { RoundRobin } from '../../src/engine/routing/round-robin.js'
import { createLogger } from '../../src/logger.js'
import { fetchHost, until } from '../support/server.js'
import { HOST, openRawShop, RawClient, type RawShop } from '../support/raw.js'

/** What Node.js refuses to send on, or what no final answer is. */
const UNUSABLE = {
  'a status of 000': 'HTTP/1.1 000 x\r\nContent-Length: 0\r\n\r\n',
  'a status of 099': 'HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n',
  'a control character in the reason': 'HTTP/1.1 200 a\x01b\r\nContent-Length: 0\r\n\r\n',
  'a NUL in the reason': 'HTTP/1.1 200 a\0b\r\nContent-Length: 0\r\n\r\n',
  'a DEL in the reason': 'HTTP/1.1 200 a\x7fb\r\nContent-Length: 4\r\n\r\nbody',
  'a 101 that nobody asked for': 'HTTP/1.1 101 x\r\n\r\n',
  'a 101 with an upgrade that nobody asked for':
    'HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'a transfer coding that nobody asked for':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  'a transfer coding without an end': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc',
  'a name outside of ASCII': 'HTTP/1.1 200 OK\r\nX-\xe9: a\r\nContent-Length: 0\r\n\r\n',
  'a control character in a value': 'HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 0\r\n\r\n',
  'a folded value': 'HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n',
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
  'two ways to frame': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n',
  'no HTTP': 'SSH-2.0-OpenSSH_9.6\r\n',
} as const

/** Odd, and sent on. What the client gets of each. */
const ODD = {
  'a status of 999': [
    'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok',
    /^HTTP\/1\.1 999 Odd\r\n[^]*\r\n\r\nok$/,
  ],
  'no reason': ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', /^HTTP\/1\.1 200 \r\n[^]*\r\n\r\nok$/],
  'Latin-1': [
    'HTTP/1.1 200 \xe9\r\nX-E: \xe9\x80\r\nContent-Length: 2\r\n\r\nok',
    /^HTTP\/1\.1 200 \xe9\r\nX-E: \xe9\x80\r\n[^]*\r\n\r\nok$/,
  ],
  'a name that objects have': [
    'HTTP/1.1 200 OK\r\n__proto__: x\r\nContent-Length: 2\r\n\r\nok',
    /\r\n__proto__: x\r\n[^]*\r\n\r\nok$/,
  ],
  'early hints, and then the answer': [
    'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    /^HTTP\/1\.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/,
  ],
  'a 204 with a body': [
    'HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nhello',
    /^HTTP\/1\.1 204 None\r\n[^]*\r\n\r\n$/,
  ],
  'a 304 with a body': [
    'HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\nhello',
    /^HTTP\/1\.1 304 Same\r\n[^]*\r\n\r\n$/,
  ],
  'more than its length': [
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/,
  ],
} as const satisfies Record<string, readonly [string, RegExp]>

describe('an app that answers what it likes', () => {
  let opened: RawShop
  let answer: string = ''
  let port = 0
  let id = ''
  let connections: () => number

  before(async () => {
    opened = await openRawShop()
    const app = await opened.listen((socket) => socket.write(Buffer.from(answer, 'latin1')))
    id = await opened.serve(app.port)
    port = opened.router.port()
    connections = () => app.sockets.filter((socket) => !socket.destroyed).length
  })
  after(() => opened[Symbol.asyncDispose]())

  /** The process lives, and so does the router in it. */
  async function lives(): Promise<void> {
    answer = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive'
    assert.deepEqual(await fetchHost(port, HOST), { status: 200, body: 'alive' })
    await until(() => opened.router.inFlight(id) === 0)
  }

  for (const [what, said] of Object.entries(UNUSABLE)) {
    test(`${what}: the client gets the 502 page, and the connection to the app is closed`, async () => {
      for (const request of [
        ['GET / HTTP/1.1', 'Connection: close'],
        ['POST / HTTP/1.1', 'Connection: close', 'Content-Length: 0'],
        ['GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'],
      ]) {
        if (said.includes('Upgrade') && request[1]?.includes('Upgrade')) continue // it was asked for
        answer = said
        using client = new RawClient(port)
        client.send(request)
        await until(() => client.closed)
        assert.match(client.received, /^HTTP\/1\.1 502 Bad Gateway\r\n/, request.join())
        assert.match(client.received, /\r\nx-longshore-router: 502\r\n[^]*The app does not answer/)
        await until(() => connections() === 0)
      }
      await lives()
    })
  }

  for (const [what, [said, expected]] of Object.entries(ODD)) {
    test(`${what}: goes on to the client, also on a connection that is kept`, async () => {
      for (const body of ['', 'x']) {
        answer = said
        using client = new RawClient(port)
        client.send([`${body ? 'POST' : 'GET'} / HTTP/1.1`, `Content-Length: ${body.length}`], body)
        const seen = await client.gets(expected)
        assert.match(seen, expected)
        client.received = ''
        answer = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond'
        client.send(['GET / HTTP/1.1'])
        await client.gets(/second$/)
      }
      await lives()
    })
  }

  test('a broken end of an answer breaks it off for the client too', async () => {
    for (const end of ['1\r\na\r\n0\r\nX-T: a\x01\r\n\r\n', '1\r\na\r\nxyz\r\n']) {
      answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${end}`
      await assert.rejects(fetchHost(port, HOST))
    }
    await lives()
  })
})

test('a request that Node.js refuses to send is refused to the client', async () => {
  const agent = new AppAgent()
  const inFlight = new InFlight()
  const target = { deploymentId: 'one', addresses: ['127.0.0.1'], port: 1 }
  const server = createServer((incoming, response) => {
    incoming.url = '/a b'
    const shortages = new ThrottledLog(createLogger('error'), 'short')
    const upstream = {
      target,
      targetNow: () => target,
      agent,
      inFlight,
      roundRobin: new RoundRobin(),
      shortages,
      proxies: NO_PROXIES,
    }
    forward(incoming, response, upstream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const { status } = await fetchHost((server.address() as AddressInfo).port, HOST)
    assert.equal(status, 400)
    await until(() => inFlight.count('one') === 0)
  } finally {
    server.close().closeAllConnections()
  }
})
