import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { createApp, followLog, graphql } from '../support/client.js'
import { freshStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, TOKEN } from '../support/server.js'

const MIB = 1024 * 1024

/** Subscribes to a log and then never reads from its socket again. */
async function neverReads(port: number, deploymentId: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws')
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('open', resolve))
  const acknowledged = new Promise((resolve) => socket.once('message', resolve))
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${TOKEN}` } }))
  await acknowledged
  const query = `subscription { deploymentLogs(deploymentId: "${deploymentId}") { seq text } }`
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }))
  socket.pause()
  return socket
}

function rssMib(pid: number | undefined): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}

test('viewers that never read neither slow the others nor make the process grow', async () => {
  await using installation = await Installation.create()
  const { port } = installation
  // BuildKit would clip the output to 200 KiB a second.
  await installation.start({ ROLES: 'worker', BUILDER: 'classic' })
  const api = await installation.start({ ROLES: 'api' })
  // 7 MiB of log: with 20 viewers 140 MiB would pile up in a process that sends without looking.
  const line = 'x'.repeat(250)
  const steps = [freshStep(`i=0; while [ $i -lt 28000 ]; do echo ${line}; i=$((i+1)); done`)]
  using repository = new TestRepository(webApp('much', steps))
  const { appId, deploymentId } = await createApp(port, { name: 'talkative', repoUrl: repository.url })
  const silent = await Promise.all(Array.from({ length: 20 }, () => neverReads(port, deploymentId)))
  const before = rssMib(api.child.pid)
  let highest = before
  const watch = setInterval(() => (highest = Math.max(highest, rssMib(api.child.pid))), 20)
  const events = await followLog(port, deploymentId)
  clearInterval(watch)
  assert.equal(events.at(-1)?.end?.status, 'RUNNING')
  console.log(`      grew from ${before.toFixed()} to ${highest.toFixed()} MiB`)
  const bytes = events.reduce((sum, event) => sum + Buffer.byteLength(event.text), 0)
  assert.equal(bytes, events.at(-1)?.end?.bytes)
  assert.ok(bytes > MIB, `only ${bytes} bytes came`)
  assert.ok(highest - before < 70, `grew from ${before.toFixed()} to ${highest.toFixed()} MiB`)
  for (const socket of silent) socket.terminate()
  await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
})
