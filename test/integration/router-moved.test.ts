import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { HOST, openRawShop } from '../support/raw.js'
import { fetchHost, until } from '../support/server.js'

/** Takes two connections that it has not seen yet, and is silent to more. */
const SERVER = `const server = require('node:http').createServer((_, answer) => answer.end('of another app'))
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`

test('who takes a connection late, when the host leads elsewhere by then, gets no request', async () => {
  await using opened = await openRawShop()
  const child = spawn(process.execPath, ['--eval', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [bytes] = (await once(child.stdout, 'data')) as [Buffer]
    const silent = Number(bytes.toString())
    child.kill('SIGSTOP')
    const sockets = Array.from({ length: 4 }, () => connect(silent, '127.0.0.1').on('error', () => undefined))
    await until(() => sockets.filter(({ connecting }) => !connecting).length === 2)
    const before = await opened.serve(silent)

    const asked = fetchHost(opened.router.port(), HOST)
    await until(() => opened.router.inFlight(before) === 1)
    const app = await opened.listen((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    await opened.serve(app.port)
    child.kill('SIGCONT')
    assert.deepEqual(await asked, { status: 200, body: 'ok' })
    for (const socket of sockets) socket.destroy()
  } finally {
    child.kill('SIGKILL')
  }
})
