import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { probeThrough } from '../../src/engine/routing/traefik-gateway.js'

const IN_TIME_MS = 300
const LATE_MS = 900

const NO_ANSWER = /^GET .* at Traefik \(TRAEFIK_URL .*\) was not answered within/

describe('a request through Traefik', () => {
  const servers: Server[] = []
  afterEach(() => servers.splice(0).forEach((server) => server.close().closeAllConnections()))

  /** A server on a port of its own that answers after a while; null: it takes the request and says nothing. */
  const listen = async (afterMs: number | null, body = 'app', status = 200) => {
    const hosts: string[] = []
    const server = createServer((incoming, response) => {
      hosts.push(`${incoming.headers.host}${incoming.url}`)
      if (afterMs !== null) void sleep(afterMs).then(() => response.writeHead(status).end(body))
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { port: (server.address() as AddressInfo).port, hosts }
  }
  const reaches = (gateway: { port: number }, app: { port: number }, addresses = ['127.0.0.1']) =>
    probeThrough(`http://127.0.0.1:${gateway.port}`, {
      ...{ host: 'shop-1.test.example', path: '/health', timeoutMs: IN_TIME_MS },
      ...{ addresses, port: app.port },
    })

  test('that is answered has reached the app, which is not asked itself', async () => {
    const app = await listen(0)
    assert.equal(await reaches(await listen(0), app), null)
    assert.match((await reaches(await listen(0, 'Bad Gateway', 502), app)) ?? '', /answered 502/)
    assert.deepEqual(app.hosts, [])
  })

  test('that gets no answer has not reached an app that answers at once', async () => {
    const app = await listen(0)
    assert.match((await reaches(await listen(null), app)) ?? '', NO_ANSWER)
    assert.deepEqual(app.hosts, ['shop-1.test.example/health'])
    assert.match((await reaches(await listen(null), await listen(0, 'broken', 500))) ?? '', NO_ANSWER)
  })

  test('that gets no answer may have reached an app that is slow itself', async () => {
    assert.equal(await reaches(await listen(null), await listen(null)), null)
    assert.equal(await reaches(await listen(LATE_MS), await listen(LATE_MS)), null)
  })

  test('that gets no answer may have reached the slow one of two replicas', async () => {
    const app = await listen(0)
    // Nothing listens there.
    assert.equal(await reaches(await listen(null), app, ['127.0.0.1', '127.0.0.99']), null)
    assert.equal(await reaches(await listen(null), app, []), null)
  })
})
