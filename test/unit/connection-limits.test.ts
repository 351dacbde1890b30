import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { fetchError } from '../../src/engine/git/fetch-error.js'
import { DeployError, InfrastructureError } from '../../src/engine/errors.js'
import { isResourceExhaustion, retryWhileExhausted } from '../../src/engine/resource-exhaustion.js'
import {
  ConnectionLimiter,
  fitted,
  networkOf,
  refusalAnswer,
} from '../../src/engine/routing/connection-limits.js'
import { ThrottledLog } from '../../src/engine/throttled-log.js'
import { createLogger } from '../../src/logger.js'
import { RawClient } from '../support/raw.js'
import { until } from '../support/server.js'

describe('connections of a server', () => {
  let server: Server
  let port = 0
  const said: string[] = []
  const clients: RawClient[] = []

  async function guarded(total: number, perAddress: number): Promise<void> {
    const warn = (message: string, fields = {}) => said.push(`${message} ${JSON.stringify(fields)}`)
    const logger = { ...createLogger('error'), warn }
    server = createServer((_incoming, response) => response.end('served'))
    new ConnectionLimiter('API', { total, perAddress }, logger).guard(server, { answer: refusalAnswer })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  }

  function open(): RawClient {
    const client = new RawClient(port)
    clients.push(client)
    return client
  }

  beforeEach(() => said.splice(0))
  afterEach(() => {
    for (const client of clients.splice(0)) client[Symbol.dispose]()
    server.close().closeAllConnections()
  })

  for (const [what, total, perAddress, reason] of [
    ['in all', 3, 100, 'the API accepts 3 connections'],
    ['from one address', 100, 3, 'the API accepts 3 connections per address'],
  ] as const) {
    test(`over the limit ${what} are answered 503 with the reason, whatever they send, and closed`, async () => {
      await guarded(total, perAddress)
      for (let admitted = 0; admitted < 3; admitted++) {
        open().send(['GET / HTTP/1.1'])
        await clients[admitted]?.gets(/served$/)
      }
      const refused = open()
      refused.send(['POST / HTTP/1.1', 'Content-Length: 100000'], 'x'.repeat(100_000))
      await until(() => refused.closed)
      assert.match(refused.received, /^HTTP\/1\.1 503 Service Unavailable\r\n[^]*Retry-After: 1\r\n/)
      assert.ok(refused.received.includes(reason), refused.received)
      clients[0]?.[Symbol.dispose]()
      await until(async () => {
        const next = open()
        next.send(['GET / HTTP/1.1', 'Connection: close'])
        await until(() => next.closed)
        return next.received.endsWith('served')
      })
    })
  }

  test('that are refused are one line in the log, however many they are', async () => {
    await guarded(1, 1)
    open().send(['GET / HTTP/1.1'])
    await clients[0]?.gets(/served$/)
    const flood = Array.from({ length: 200 }, open)
    await until(() => flood.every(({ closed }) => closed))
    assert.equal(said.length, 1)
    assert.match(said[0] ?? '', /^refusing connections to the API .*per address/)
  })

  test('that cannot be accepted do not end the process', async () => {
    await guarded(10, 10)
    for (const code of ['EMFILE', 'ENFILE', 'ENOMEM']) {
      server.emit('error', Object.assign(new Error(`accept ${code}`), { code }))
    }
    open().send(['GET / HTTP/1.1'])
    await clients[0]?.gets(/served$/)
    assert.deepEqual(said.length, 1)
  })

  test('to a server that cannot listen still say so', async () => {
    await guarded(10, 10)
    const second = createServer()
    new ConnectionLimiter('API', { total: 1, perAddress: 1 }, createLogger('error')).guard(second, {
      answer: null,
    })
    second.listen(port, '127.0.0.1')
    const [error] = (await once(second, 'error')) as [NodeJS.ErrnoException]
    assert.equal(error.code, 'EADDRINUSE')
  })
})

test('an IPv6 address counts as its /64, an IPv4 address as itself, however it is written', () => {
  assert.equal(networkOf('127.0.0.1'), '127.0.0.1')
  assert.equal(networkOf('::ffff:10.1.2.3'), '10.1.2.3')
  assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
  assert.equal(networkOf('2001:db8:1:2::9'), networkOf('2001:db8:1:2:ffff::'))
  assert.equal(networkOf('::1'), '0:0:0:0::/64')
  assert.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64')
})

test('a warning is said at once, and then once in each period with how often', async () => {
  const said: unknown[] = []
  const logger = { ...createLogger('error'), warn: (_message: string, fields?: object) => said.push(fields) }
  const log = new ThrottledLog(logger, 'too much', 10)
  for (let time = 1; time <= 5; time++) log.warn({ time })
  await until(() => said.length === 2, 5)
  assert.deepEqual(said, [
    { time: 1, times: 1 },
    { time: 5, times: 4 },
  ])
})

describe('what this process lacks', () => {
  test('is told by the code of the error', () => {
    for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN', 'EADDRNOTAVAIL'])
      assert.ok(isResourceExhaustion(Object.assign(new Error(code), { code })), code)
    for (const code of ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ETIMEDOUT', 'ENOENT'])
      assert.ok(!isResourceExhaustion(Object.assign(new Error(code), { code })), code)
  })

  test('is waited for, and then said; another error is not waited for', async () => {
    let times = 0
    const lacking = () =>
      Promise.reject(Object.assign(new Error(`connect EMFILE ${++times}`), { code: 'EMFILE' }))
    await assert.rejects(retryWhileExhausted(lacking, 150), (error: unknown) => {
      assert.ok(error instanceof InfrastructureError && error.code === 'OUT_OF_RESOURCES')
      assert.match(error.message, /short of resources: connect EMFILE/)
      return true
    })
    assert.ok(times > 1)
    assert.equal(await retryWhileExhausted(() => (times++ < 4 ? lacking() : Promise.resolve('done'))), 'done')
    await assert.rejects(
      retryWhileExhausted(() => Promise.reject(new Error('other'))),
      /^Error: other$/,
    )
  })

  test('is no fault of a repository, in the words of git, ssh and curl', () => {
    const request = { ref: 'main', repoUrl: 'https://git.example/x.git' }
    for (const stderr of [
      'error: cannot fork to run index-pack: Resource temporarily unavailable\nfatal: fetch-pack: unable to fork off index-pack',
      'fatal: unable to create temporary file: Too many open files',
      'fatal: Out of memory, malloc failed (tried to allocate 10 bytes)',
      'fatal: write error: No space left on device',
      'ssh: connect to host git.example port 22: Cannot assign requested address',
    ]) {
      const error = fetchError(request, { exitCode: 128, signal: null, stdout: '', stderr })
      assert.ok(error instanceof InfrastructureError, stderr)
    }
    const missing = "fatal: couldn't find remote ref main"
    const error = fetchError(request, { exitCode: 128, signal: null, stdout: '', stderr: missing })
    assert.ok(error instanceof DeployError)
  })
})

test('limits are lowered to a quarter of the files that the process may have open, which its log says', () => {
  const said: string[] = []
  const logger = { ...createLogger('error'), info: (message: string) => void said.push(message) }
  const limits = { total: 1024, perAddress: 256 }
  const at = (openFiles: number) => fitted(limits, { name: 'API', openFiles }, logger)
  assert.deepEqual([at(Number.POSITIVE_INFINITY), at(4096), said], [limits, limits, []])
  assert.deepEqual(
    [at(4095), at(256)],
    [
      { total: 1023, perAddress: 256 },
      { total: 64, perAddress: 64 },
    ],
  )
  assert.equal(said.length, 2)
  assert.match(said[0] ?? '', /ulimit -n\), so the API takes fewer connections/)
})
