import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { RawClient } from '../support/raw.js'
import { Installation, type ServerProcess, TOKEN, until } from '../support/server.js'

const offer = (what: string) => [
  'Connection: Upgrade, HTTP2-Settings',
  `Upgrade: ${what}`,
  'HTTP2-Settings: AAMA',
]

describe('a connection to the API that offers an upgrade', () => {
  let installation: Installation
  let server: ServerProcess
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    server = await installation.start({ ROLES: 'api' })
  })
  after(() => installation[Symbol.asyncDispose]())

  /** Asks for a WebSocket that there is not, and keeps its side open after the refusal. */
  function refused(path: string) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let received = ''
    socket.on('error', () => undefined).on('data', (bytes: Buffer) => (received += bytes.toString('latin1')))
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${offer('websocket').join('\r\n')}\r\n\r\n`)
    return { socket, answered: until(() => /^HTTP\/1.1 4\d\d/.test(received)) }
  }

  test('and is reset ends nothing but itself', async () => {
    for (const path of ['/x', '/graphql']) {
      const { socket, answered } = refused(path)
      await answered
      socket.resetAndDestroy()
    }
    assert.equal((await fetch(`http://127.0.0.1:${port}/ready`)).status, 200)
    assert.equal(server.child.exitCode, null)
  })

  test('for anything but a WebSocket is answered as if it made none', async () => {
    using client = new RawClient(port)
    client.send(['GET /ready HTTP/1.1', ...offer('h2c')])
    await client.gets(/^HTTP\/1.1 200 [^]*"ready":true/)
    const body = JSON.stringify({ query: '{ apps { totalCount } }' })
    const head = ['POST /graphql HTTP/1.1', ...offer('h2c'), `Authorization: Bearer ${TOKEN}`]
    client.send([...head, 'Content-Type: application/json', `Content-Length: ${body.length}`], body)
    await client.gets(/"apps":\{"totalCount":/)
  })

  test('and keeps its side open after a refusal does not hold up a stop', async () => {
    const { socket, answered } = refused('/x')
    await answered
    const late = setTimeout(() => server.child.kill('SIGKILL'), 10_000)
    await server.stop()
    clearTimeout(late)
    socket.destroy()
    assert.equal(server.child.exitCode, 0, server.output)
  })
})
