import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { connect } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { Disposal } from '../../src/disposal.js'
import { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { Certificates } from '../../src/engine/routing/certificates.js'
import { createLogger } from '../../src/logger.js'
import { askHost, openShop, type Shop } from '../support/routing.js'
import { until } from '../support/server.js'

const HOST = 'shop.test.example'

describe('TLS of the built-in router', () => {
  const opened = new Disposal()
  const folder = mkdtempSync(join(tmpdir(), 'longshore-tls-'))
  let shop: Shop
  let router: BuiltinRouter
  let id = ''

  before(async () => {
    opened.defer(() => rmSync(folder, { recursive: true, force: true }))
    makeCertificate(folder, HOST, HOST)
    makeCertificate(folder, '_.wild.example', '*.wild.example')
    shop = opened.use(await openShop())
    id = await shop.add((incoming, response) => response.end(JSON.stringify(incoming.headers)))
    await shop.switchTo(id)
    const { database, wakeups } = shop.process
    for (const host of ['a.wild.example', 'plain.example', 'www.here.example']) {
      await database.query('INSERT INTO domain (host, stage_id) VALUES ($1, $2)', [host, shop.stageId])
    }
    const options = { host: '127.0.0.1', port: 0, baseDomain: 'test.example', tls: { dir: folder, port: 0 } }
    router = new BuiltinRouter({ database, wakeups, logger: createLogger('error') }, options)
    await router.start()
    opened.use(router)
  })
  after(() => opened[Symbol.asyncDispose]())

  const ask = async (host: string) => {
    const asked = request({
      ...{ host: '127.0.0.1', port: router.tlsPort(), path: '/a?b', headers: { host }, agent: false },
      ...{ servername: host, rejectUnauthorized: false },
    })
    const [answer] = (await once(asked.end(), 'response')) as [IncomingMessage]
    const name = (answer.socket as TLSSocket).getPeerCertificate().subject.CN
    return { status: answer.statusCode, location: answer.headers.location, name, body: await text(answer) }
  }

  test('takes the host’s certificate, or that of the wildcard above it, and tells the app', async () => {
    for (const [host, certificate] of [
      [HOST, HOST],
      ['a.wild.example', '*.wild.example'],
    ] as const) {
      const { status, name, body } = await ask(host)
      assert.deepEqual([status, name], [200, certificate])
      const headers = JSON.parse(body) as Record<string, string>
      assert.deepEqual([headers['x-forwarded-proto'], headers['x-forwarded-host']], ['https', host])
    }
  })

  test('is not there for a host without a certificate, and none is shown in its place', async () => {
    await assert.rejects(ask('plain.example'))
    await assert.rejects(ask('b.a.wild.example'))
    assert.match((await askHost(router.port(), 'plain.example')).body, /"x-forwarded-proto":"http"/)
  })

  test('is where HTTP redirects to, WebSockets too', async () => {
    const { status, location } = await askHost(router.port(), `${HOST}:8000`, '/a?b')
    assert.deepEqual([status, location], [308, `https://${HOST}:${router.tlsPort()}/a?b`])
    const { status: none } = await askHost(router.port(), 'x.wild.example')
    assert.equal(none, 404, 'a wildcard makes no app')
    const answer = await fetchUpgrade(router.port(), HOST)
    assert.match(answer, /^HTTP\/1.1 308 .*\r\nLocation: https:\/\/shop\.test\.example:\d+\/\r\n/)
  })

  test('keeps a connection over which another protocol than WebSocket was offered', async () => {
    const socket = connectTls({ port: router.tlsPort(), servername: HOST, rejectUnauthorized: false })
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n'
    socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n${offer}\r\n`)
    const [first] = (await once(socket, 'data')) as [Buffer]
    assert.match(first.toString(), /^HTTP\/1\.1 200 OK\r\n/)
    socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)
    const rest = await text(socket)
    assert.match(rest, /HTTP\/1\.1 200 OK\r\n[^]*"x-forwarded-proto":"https"/)
    assert.doesNotMatch(first.toString() + rest, /h2c/)
  })

  test('serves the counterpart of a domain as well', async () => {
    makeCertificate(folder, 'here.example', 'here.example')
    makeCertificate(folder, 'www.here.example', 'www.here.example')
    await until(() => ask('here.example').catch(() => null))
    const { status, location } = await ask('here.example')
    assert.deepEqual([status, location], [308, 'https://www.here.example/a?b'])
  })

  test('a deployment is reached behind a redirect of its own host', async () => {
    makeCertificate(folder, '_.test.example', '*.test.example')
    const own = `shop-${id}.test.example`
    await until(() => ask(own).catch(() => null))
    assert.equal((await askHost(router.port(), own)).status, 308)
    const probe = { host: own, path: '/', timeoutMs: 2_000, addresses: [], port: 80 }
    assert.equal(await router.probe(probe), null)
    await shop.process.database.query('UPDATE deployment SET port = 1 WHERE id = $1', [id])
    await router.apply()
    assert.match((await router.probe(probe)) ?? '', /was answered 502 by the router itself$/)
  })
})

describe('certificates in a folder', () => {
  test('are read again when they change; one that does not fit leaves the one before it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'longshore-certs-'))
    try {
      const said: string[] = []
      const warn = (message: string) => void said.push(message)
      const certificates = new Certificates(folder, { ...createLogger('error'), warn })
      await certificates.refresh()
      assert.equal(certificates.find(HOST), null)
      makeCertificate(folder, HOST, 'one')
      await certificates.refresh()
      const one = certificates.find(HOST)
      assert.ok(one)
      await certificates.refresh()
      assert.equal(certificates.find(HOST), one, 'unchanged')

      writeFileSync(join(folder, HOST, 'privkey.pem'), 'half a key')
      await certificates.refresh()
      await certificates.refresh()
      assert.equal(certificates.find(HOST), one)
      assert.equal(said.length, 1, 'said once')

      makeCertificate(folder, HOST, 'two')
      await certificates.refresh()
      assert.ok(certificates.find(HOST) !== one && certificates.find(HOST) !== null)
      rmSync(join(folder, HOST), { recursive: true })
      await certificates.refresh()
      assert.equal(certificates.find(HOST), null)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

function makeCertificate(folder: string, name: string, commonName: string): void {
  const place = join(folder, name)
  mkdirSync(place, { recursive: true })
  const files = ['-keyout', join(place, 'privkey.pem'), '-out', join(place, 'fullchain.pem')]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', ['req', ...kind, ...files, '-subj', `/CN=${commonName}`], { stdio: 'ignore' })
}

/** The head that answers an upgrade. */
async function fetchUpgrade(port: number, host: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
  return text(socket)
}
