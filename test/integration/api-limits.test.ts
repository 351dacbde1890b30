import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Queries } from '../../src/engine/queries.js'
import { createTokenCheck } from '../../src/http/access.js'
import { createServer } from '../../src/http/server.js'
import { createLogger } from '../../src/logger.js'
import { buildSchema } from '../../src/resolvers/build-schema.js'
import { openProcesses } from '../support/engine.js'
import { RawClient } from '../support/raw.js'
import { until } from '../support/server.js'

const TOKEN = 'a-token-of-this-test'
const MOST = 4
const UPGRADE = [
  'GET /graphql HTTP/1.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: graphql-transport-ws',
]

test('WebSockets of strangers are limited, and cut when they do not show the token', async () => {
  await using opened = await openProcesses(1)
  const [process] = opened.processes
  assert.ok(process)
  const said: string[] = []
  const logger = { ...createLogger('error'), warn: (message: string) => said.push(message) }
  const address = { baseDomain: 'localhost', publicPort: 80 } as never
  const { commands, hub, wakeups, database } = process
  const api = { commands, queries: new Queries(database), hub, wakeups, address }
  const schema = await buildSchema(logger)
  const connections = { total: 100, perAddress: MOST }
  await using server = await createServer({
    ...{ api, schema, logger, connections, absence: { message: null } },
    ...{ isToken: createTokenCheck(TOKEN), corsOrigins: [] },
  })
  const port = Number(new URL(await server.listen('127.0.0.1', 0)).port)

  const strangers = Array.from({ length: MOST }, () => new RawClient(port))
  for (const stranger of strangers) stranger.send(UPGRADE)
  for (const stranger of strangers) await stranger.gets(/^HTTP\/1\.1 101 /)
  const flood = Array.from({ length: 20 }, () => new RawClient(port))
  for (const client of flood) client.send(UPGRADE)
  await until(() => flood.every(({ closed }) => closed))
  for (const { received } of flood)
    assert.match(received, /^HTTP\/1\.1 503 [^]*the API accepts 4 connections per address/)
  assert.deepEqual(said, ['refusing connections to the API'])

  // They neither say connection_init nor answer when they are told to go.
  await until(() => strangers.every(({ closed }) => closed))
  using owner = new RawClient(port)
  owner.send(['GET /api/v1/apps HTTP/1.1', `Authorization: Bearer ${TOKEN}`, 'Connection: close'])
  await owner.gets(/^HTTP\/1\.1 200 /)
})

test('clients behind a trusted proxy are counted by their own addresses, WebSockets too', async () => {
  await using opened = await openProcesses(1)
  const [process] = opened.processes
  assert.ok(process)
  const logger = createLogger('error')
  const { commands, hub, wakeups, database } = process
  const address = { baseDomain: 'localhost', publicPort: 80 } as never
  const api = { commands, queries: new Queries(database), hub, wakeups, address }
  await using server = await createServer({
    ...{ api, schema: await buildSchema(logger), logger, absence: { message: null } },
    ...{ connections: { total: 100, perAddress: MOST }, trustedProxies: ['127.0.0.0/8'] },
    ...{ isToken: createTokenCheck(TOKEN), corsOrigins: [] },
  })
  const port = Number(new URL(await server.listen('127.0.0.1', 0)).port)
  const clients: RawClient[] = []
  const ask = (lines: readonly string[], chain: string) => {
    const client = new RawClient(port)
    clients.push(client)
    client.send([...lines, `X-Forwarded-For: ${chain}`])
    return client
  }
  for (let each = 0; each < MOST; each++)
    await ask(UPGRADE, `6.6.6.${each}, 198.51.100.1`).gets(/^HTTP\/1\.1 101 /)
  await ask(UPGRADE, '6.6.6.99, 198.51.100.1').gets(/^HTTP\/1\.1 503 [^]*per address/)
  await ask(['GET /ready HTTP/1.1'], '198.51.100.1').gets(/^HTTP\/1\.1 503 [^]*per address/)
  await ask(['GET /ready HTTP/1.1'], '198.51.100.2').gets(/^HTTP\/1\.1 200 /)
  for (const client of clients) client[Symbol.dispose]()
})
