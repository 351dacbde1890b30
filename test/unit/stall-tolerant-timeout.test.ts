import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { stallTolerantTimeout } from '../../src/engine/stall-tolerant-timeout.js'

function keepBusy(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test('time in which the process did not run does not count: what has come meanwhile is read first', async () => {
  let word = ''
  const end = new Promise<string>((resolve) => stallTolerantTimeout(300, () => resolve(word)))
  await using server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.once('connection', (socket: Socket) => {
    word = 'read'
    socket.destroy()
  })
  const { port } = server.address() as { port: number }
  void fetch(`http://127.0.0.1:${port}`).catch(() => undefined)
  keepBusy(1_000)
  assert.equal(await end, 'read')
})

test('what was ended does not come', async () => {
  let isOver = false
  const stop = stallTolerantTimeout(100, () => (isOver = true))
  stop()
  await sleep(300)
  assert.equal(isOver, false)
})
