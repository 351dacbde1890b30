import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { Disposal } from '../../src/disposal.js'
import { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { createLogger } from '../../src/logger.js'
import { RawClient } from '../support/raw.js'
import { BASE } from '../support/routers.js'
import { openShop } from '../support/routing.js'
import { until } from '../support/server.js'

const HOST = `shop.${BASE}`

/** 127.0.0.1 and 127.0.0.9 are proxies; 127.0.0.2 is not. */
describe('a router behind proxies', () => {
  const opened = new Disposal()
  let router: BuiltinRouter
  let handle: (incoming: IncomingMessage, response: ServerResponse) => void = echo

  before(async () => {
    const app = createServer((incoming, response) => handle(incoming, response))
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
    opened.defer(() => app.close().closeAllConnections())
    const shop = opened.use(await openShop())
    const { database, wakeups } = shop.process
    const options = {
      ...{ host: '127.0.0.1', port: 0, baseDomain: BASE, tls: null },
      ...{ trustedProxies: ['127.0.0.1', '127.0.0.8/31'], connections: { total: 100, perAddress: 3 } },
    }
    router = opened.use(new BuiltinRouter({ database, wakeups, logger: createLogger('error') }, options))
    await shop.switchTo(await shop.add((app.address() as AddressInfo).port))
    await router.start()
  })
  after(() => opened[Symbol.asyncDispose]())

  async function seen(localAddress: string, headers: object): Promise<Record<string, string>> {
    const options = { host: '127.0.0.1', port: router.port(), localAddress, agent: false }
    const [answer] = (await once(
      request({ ...options, headers: { host: HOST, ...headers } }).end(),
      'response',
    )) as [IncomingMessage]
    return JSON.parse(await text(answer)) as Record<string, string>
  }

  const SAID = {
    ...{ 'X-Forwarded-For': '6.6.6.6, 198.51.100.1, 127.0.0.9', 'X-Forwarded-Proto': 'https' },
    ...{ 'X-Forwarded-Host': 'www.example.com', 'X-Forwarded-Port': '443', X_Forwarded_Proto: 'gopher' },
    ...{ Forwarded: 'for=198.51.100.1;proto=https', 'X-Real-IP': '6.6.6.6', 'X-Forwarded-User': 'root' },
  }

  test('passes on what a trusted one says of the client, and nothing else', async () => {
    handle = echo
    for (const proxy of ['127.0.0.1', '127.0.0.9']) {
      const headers = await seen(proxy, SAID)
      const said = Object.entries(headers).filter(([name]) => /forwarded|real/.test(name))
      assert.deepEqual(Object.fromEntries(said), {
        'x-real-ip': '198.51.100.1',
        'x-forwarded-for': '198.51.100.1',
        'x-forwarded-host': 'www.example.com',
        'x-forwarded-proto': 'https',
        'x-forwarded-port': '443',
        forwarded: 'for=198.51.100.1;proto=https',
      })
    }
  })

  test('replaces what anybody else says', async () => {
    handle = echo
    const headers = await seen('127.0.0.2', SAID)
    const said = Object.entries(headers).filter(([name]) => /forwarded|real/.test(name))
    assert.deepEqual(Object.fromEntries(said), {
      'x-real-ip': '127.0.0.2',
      'x-forwarded-for': '127.0.0.2',
      'x-forwarded-host': HOST,
      'x-forwarded-proto': 'http',
    })
  })

  test('an app that wants https is reached through a proxy that has it, without a loop', async () => {
    handle = (incoming, response) => {
      const isSecure = incoming.headers['x-forwarded-proto'] === 'https'
      response.writeHead(isSecure ? 200 : 308, { location: `https://${HOST}/` }).end('{}')
    }
    const [answer] = (await once(
      request({
        ...{ host: '127.0.0.1', port: router.port(), localAddress: '127.0.0.1', agent: false },
        headers: { host: HOST, 'X-Forwarded-Proto': 'https' },
      }).end(),
      'response',
    )) as [IncomingMessage]
    answer.resume()
    assert.equal(answer.statusCode, 200)
  })

  test('counts clients, not their proxy, and by no address that they choose themselves', async () => {
    let held = 0
    handle = () => void (held += 1)
    using clients = new Clients(router.port())
    for (let claim = 1; claim <= 3; claim++) clients.ask(`6.6.6.${claim}, 198.51.100.1`)
    for (let client = 2; client <= 4; client++) clients.ask(`198.51.100.${client}`)
    await until(() => held === 6)
    await clients.ask('6.6.6.9, 198.51.100.1').gets(/^HTTP\/1\.1 503 [^]*retry-after: 1\r\n/i)
    // Room is made by the end of a request, WebSockets among them.
    clients.all[0]?.socket.destroy()
    await until(() => {
      if (held < 7) clients.ask('198.51.100.1')
      return held >= 7
    })
    await clients.ask('198.51.100.1', ['Upgrade: websocket', 'Connection: Upgrade']).gets(/^HTTP\/1\.1 503 /)
  })
})

function echo(incoming: IncomingMessage, response: ServerResponse): void {
  response.end(JSON.stringify(incoming.headers))
}

class Clients implements Disposable {
  readonly all: RawClient[] = []

  constructor(private readonly port: number) {}

  ask(chain: string, lines: readonly string[] = []): RawClient {
    const client = new RawClient(this.port)
    this.all.push(client)
    client.send(['GET / HTTP/1.1', `X-Forwarded-For: ${chain}`, ...lines])
    return client
  }

  [Symbol.dispose](): void {
    for (const client of this.all) client[Symbol.dispose]()
  }
}
