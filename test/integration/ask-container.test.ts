import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttp2 } from 'node:http2'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTls, type TlsOptions } from 'node:tls'
import { describe, test } from 'node:test'
import { askContainer } from '../../src/engine/routing/ask-container.js'
import { describeAnswer } from '../../src/engine/steps/describe-answer.js'
import { makeCertificates, missingOpenssl } from '../support/certificates.js'
import { cleanLine } from '../../src/engine/quoted-text.js'

const SECRET = 'hunter2-and-more'
const clean = (text: string) => cleanLine(text.replaceAll(SECRET, '[REDACTED]'))

/** A server that says this to whoever connects (`first`), or asks. */
const says = (text: string, isFirst = false) =>
  createServer((socket) => {
    socket.on('error', () => undefined)
    if (isFirst) socket.write(Buffer.from(text, 'latin1'))
    else socket.once('data', () => socket.end(Buffer.from(text, 'latin1')))
  })

const onRequest = (then: (socket: Socket) => void) =>
  createServer((socket) => {
    socket.on('error', () => undefined).once('data', () => then(socket))
  })

const OK = 'HTTP/1.1 200 OK\r\n'
const manyHeaders = (kibibytes: number) =>
  Array.from({ length: kibibytes }, (_, index) => `X-${index}: ${'a'.repeat(1_015)}\r\n`).join('')

/** What a container's port does, and what is said of GET / there. */
const STATES: readonly (readonly [state: string, open: () => Server, told: RegExp])[] = [
  ['HTTP', () => says(`${OK}Content-Length: 2\r\n\r\nok`), /^answered 200$/],
  ['HTTP with an error', () => says('HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n'), /^answered 500$/],
  ['63 KiB of headers', () => says(`${OK}${manyHeaders(63)}\r\n`), /^answered 200$/],
  ['65 KiB of headers', () => says(`${OK}${manyHeaders(65)}\r\n`), /more than 64 KiB of response headers/],
  [
    'Redis',
    () => says(`-ERR wrong number of arguments for 'get' command\r\n`),
    /bytes that are not HTTP: "-ERR wrong number of arguments for 'get' command": set the app's port/,
  ],
  ['SMTP', () => says('220 mail.example ESMTP\r\n', true), /not HTTP: "220 mail\.example ESMTP"/],
  ['SSH', () => says('SSH-2.0-OpenSSH_9.6\r\n', true), /not HTTP: "SSH-2\.0-OpenSSH_9\.6"/],
  ['bytes of PostgreSQL', () => says('E\0\0\0\x10FATAL\0'), /not HTTP: "E␀␀␀FATAL␀"/],
  ['a colour and a bell', () => says('a\x07\x1b[2Jb\r\nc\r\n'), /not HTTP: "ab c"/],
  ['a secret', () => says(`-ERR ${SECRET}\r\n`), /not HTTP: "-ERR \[REDACTED\]"/],
  ['a secret at the cut', () => says(`${'x'.repeat(115)}${SECRET}\r\n`), /: "x{115}\[REDA…": set/],
  ['a long answer', () => says('x'.repeat(2_000)), /not HTTP: "x{120}…": set/],
  [
    'two lengths',
    () => says(`${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`),
    /^was answered by HTTP that cannot be passed on \(.*Content-Length.*\): "HTTP\/1\.1 200 OK/,
  ],
  [
    'a control character in a header',
    () => says(`${OK}X-A: a\x01b\r\n\r\n`),
    /HTTP that cannot be passed on \(.+\): "HTTP/,
  ],
  ['TLS that refuses the handshake', () => openTls({}), /^met TLS: .*turn TLS off/],
  ['TLS, said by an alert', () => says('\x15\x03\x01\0\x02\x02\x46'), /^met TLS/],
  ['HTTP/2 without TLS', () => createHttp2(), /HTTP\/2 without TLS.*gRPC/],
  ['a closed connection', () => onRequest((socket) => socket.end()), /closed without an answer/],
  [
    'a connection that is reset',
    () => onRequest((socket) => socket.resetAndDestroy()),
    /reset without an answer/,
  ],
  ['half an answer', () => says(OK), /closed after 17 bytes, before the headers were complete/],
  ['silence', () => onRequest(() => undefined), /^took the connection and has not answered in time$/],
  [
    'a switch to another protocol',
    () => says('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
    /cannot be passed on \(status 101/,
  ],
]

describe('what is said of a container that was asked by HTTP and has', () => {
  for (const [state, open, told] of STATES) {
    test(state, () => check(open(), told))
  }

  test('TLS with a certificate', { skip: missingOpenssl() }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'longshore-tls-'))
    try {
      makeCertificates(folder)
      const [key, cert] = ['server.key', 'server.pem'].map((name) => readFileSync(join(folder, name)))
      await check(openTls({ key, cert }), /^met TLS: .*turn TLS off/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('nothing on its port', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    assert.equal(await ask(port), 'was refused: nothing listens there')
  })
})

function openTls(options: TlsOptions): Server {
  return createTls(options).on('tlsClientError', () => undefined)
}

async function check(server: Server, told: RegExp): Promise<void> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  const port = await listen(server)
  try {
    assert.match(await ask(port), told)
  } finally {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function ask(port: number): Promise<string> {
  const question = { address: '127.0.0.1', port, host: 'shop.example', path: '/', timeoutMs: 500 }
  return describeAnswer(await askContainer(question), clean)
}
