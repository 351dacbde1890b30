import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { after, before, beforeEach, describe, test } from 'node:test'
import { type ForgeCallOptions, ForgeClient } from '../../src/engine/forges/forge-client.js'
import { readCaFile, writeCaBundle } from '../../src/engine/git/ca-bundle.js'
import { postStatus } from '../../src/engine/webhooks/statuses.js'
import { Forge } from '../../src/entities/webhook-delivery.js'
import { makeCertificates, missingOpenssl } from '../support/certificates.js'
import { ConnectProxy } from '../support/connect-proxy.js'
import { ForgeServer } from '../support/forge-server.js'

const SHA = 'a'.repeat(40)
const STATUS = { sha: SHA, state: 'success', context: 'c', description: 'd', targetUrl: 'u' } as const
const PATH = `/gitea/repos/a/b/statuses/${SHA}`

/** Against servers with TLS of a private CA, directly and through a proxy that wants a password. */
describe('a call to a forge', { skip: missingOpenssl() }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'longshore-forges-'))
  let ca = ''
  let forge: ForgeServer
  let untrusted: ForgeServer
  let plain: ForgeServer
  let proxy: ConnectProxy

  before(async () => {
    makeCertificates(folder)
    const read = (name: string) => readFileSync(join(folder, name), 'utf8')
    await writeCaBundle(join(folder, 'bundle.pem'), await readCaFile(join(folder, 'ca.pem')))
    ca = read('bundle.pem')
    forge = await ForgeServer.start({ cert: read('server.pem'), key: read('server.key') })
    untrusted = await ForgeServer.start({ cert: read('untrusted.pem'), key: read('untrusted.key') })
    plain = await ForgeServer.start()
    proxy = await ConnectProxy.start()
  })
  after(async () => {
    for (const server of [forge, untrusted, plain, proxy]) await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })
  beforeEach(() => {
    forge.told.length = plain.told.length = proxy.asked.length = proxy.seen.length = 0
    proxy.isSilent = false
  })

  /** Tells a status to a server from a worker with these settings. */
  async function tell(
    to: ForgeServer,
    proxies: Record<string, string> = {},
    { trusted = ca, ...options }: { trusted?: string | null } & Partial<ForgeCallOptions> = {},
  ): Promise<void> {
    using forges = new ForgeClient(trusted, proxies)
    const target = { forge: Forge.GITEA, apiUrl: `${to.url}/gitea`, repository: 'a/b', token: 'right' }
    await postStatus(forges, { target, status: STATUS }, { signal: new AbortController().signal, ...options })
  }
  const told = ({ told: all }: ForgeServer) => all.map(({ path }) => path)

  test('trusts the CA of GIT_CA_FILE, and nobody who is not signed', async () => {
    await tell(forge)
    assert.deepEqual(told(forge), [PATH])
    assert.equal(forge.told[0]?.headers.authorization, 'token right')
    assert.equal(forge.told[0]?.headers['user-agent'], 'longshore')
    await assert.rejects(tell(forge, {}, { trusted: null }), {
      message: /^no answer: .*certificate/,
      isFinal: false,
    })
    await assert.rejects(tell(untrusted), { message: /^no answer: .*certificate/ })
    assert.deepEqual([forge.asked, untrusted.asked], [1, 0])
  })

  test('goes through the proxy of its protocol, in a tunnel that shows the token to nobody', async () => {
    const tunnel = `CONNECT ${new URL(forge.url).host}`
    const bare = `${ConnectProxy.LOGIN}@${proxy.address}`
    const through: Record<string, string>[] = [
      { HTTPS_PROXY: proxy.url },
      { https_proxy: proxy.url, HTTPS_PROXY: 'http://127.0.0.1:9' },
      { ALL_PROXY: bare },
      { HTTPS_PROXY: proxy.url, NO_PROXY: 'example.com,127.0.0.1:9' },
    ]
    for (const proxies of through) await tell(forge, proxies)
    assert.deepEqual(proxy.asked, Array(through.length).fill(tunnel))
    assert.deepEqual(told(forge), Array(through.length).fill(PATH))
    assert.ok(proxy.seen.length > 0)
    assert.ok(!Buffer.concat(proxy.seen).includes('right'))
    assert.ok(forge.told.every(({ headers }) => headers['proxy-authorization'] === undefined))

    await assert.rejects(tell(forge, { HTTPS_PROXY: proxy.url }, { trusted: null }), /certificate/)
    await assert.rejects(tell(untrusted, { HTTPS_PROXY: proxy.url }), /certificate/)
    assert.equal(untrusted.asked, 0)
  })

  test('goes past the proxy where NO_PROXY has the host, and https past that of HTTP_PROXY', async () => {
    const past: Record<string, string>[] = [
      { HTTPS_PROXY: proxy.url, NO_PROXY: 'example.com, 127.0.0.1' },
      { HTTPS_PROXY: proxy.url, no_proxy: '*' },
      { HTTP_PROXY: proxy.url },
      { HTTPS_PROXY: '' },
    ]
    for (const proxies of past) await tell(forge, proxies)
    assert.deepEqual([proxy.asked, told(forge).length], [[], past.length])

    await tell(plain, { HTTP_PROXY: proxy.url })
    assert.deepEqual([proxy.asked, told(plain)], [[`POST ${plain.url}${PATH}`], [PATH]])
  })

  test('says what is wrong with the proxy, without its password', async () => {
    const wrong = `http://user:wr0ng-s3cret@${proxy.address}`
    await assert.rejects(tell(forge, { HTTPS_PROXY: wrong }), ({ message }: Error) => {
      assert.match(message, /^no answer: .*407/)
      assert.doesNotMatch(message, /s3cret/)
      return true
    })
    proxy.isSilent = true
    await assert.rejects(
      tell(forge, { HTTPS_PROXY: proxy.url }, { timeoutMs: 300 }),
      /no answer within 0.3 s$/,
    )
    await assert.rejects(
      tell(forge, { HTTPS_PROXY: 'http://127.0.0.1:9' }),
      /^ForgeError: no answer: .*ECONNREFUSED/,
    )
    for (const uri of ['ftp://user:wr0ng-s3cret@h', 'http://user:wr0ng-s3cret@h:port']) {
      await assert.rejects(tell(forge, { ALL_PROXY: uri }), ({ name, message }: Error) => {
        assert.equal(`${name}: ${message}`.match(/^ConfigError: ALL_PROXY: must be/)?.length, 1)
        assert.doesNotMatch(message, /s3cret/)
        return true
      })
    }
  })

  test('follows a redirect through the proxy on the same origin alone', async () => {
    const proxies = { HTTPS_PROXY: proxy.url }
    forge.next.push((response) => response.writeHead(301, { location: PATH.replace('a/b', 'a/new') }).end())
    await tell(forge, proxies)
    assert.deepEqual(told(forge), [PATH.replace('a/b', 'a/new')])
    forge.next.push((response) => response.writeHead(308, { location: `${plain.url}${PATH}` }).end())
    await assert.rejects(tell(forge, proxies), { message: /to which the token is not sent/, isFinal: true })
    assert.deepEqual(told(plain), [])
  })

  test('reads the beginning of an answer that never ends, and hangs up', async () => {
    const closed = new Promise((resolve) => {
      forge.next.push((response) => {
        response.on('close', resolve)
        pipeline(repeat(Buffer.alloc(64 * 1024, 'x')), response).catch(() => undefined)
      })
    })
    using forges = new ForgeClient(ca, {})
    const { signal } = new AbortController()
    const request = { method: 'GET', url: `${forge.url}/gitea`, headers: {} } as const
    const { status, text } = await forges.call(request, { signal, maxBytes: 1000 })
    assert.deepEqual([status, text], [200, 'x'.repeat(1000)])
    await closed
  })
})

function* repeat(part: Buffer) {
  for (;;) yield part
}
