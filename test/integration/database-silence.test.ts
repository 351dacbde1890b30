import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDataSource } from '../../src/database.js'
import { isDatabaseAway } from '../../src/engine/sql/errors.js'
import { createTestDatabase } from '../support/database.js'
import { PostgresProxy } from '../support/postgres-proxy.js'

const SILENT_MS = 300

/** A pool behind a proxy, with one session that is open and idle. */
async function openPool() {
  const server = await createTestDatabase()
  const proxy = await PostgresProxy.start(server.url)
  const database = await createDataSource(proxy.url, SILENT_MS).initialize()
  return {
    proxy,
    database,
    async [Symbol.asyncDispose]() {
      proxy.cutAll()
      await database.destroy()
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

test('a statement and a wait for a lock may take many times as long as a silence', async () => {
  await using pool = await openPool()
  const { database, proxy } = pool
  const runner = database.createQueryRunner()
  await runner.query('SELECT pg_advisory_lock(1)')
  const asleep = database.query<{ done: string }[]>(`SELECT pg_sleep(2), 'yes' AS done`)
  const waiting = database.query<{ got: string }[]>(`SELECT pg_advisory_lock(1), 'it' AS got`)

  assert.equal((await asleep)[0]?.done, 'yes')
  assert.ok(proxy.opened.includes('longshore-probe'), 'nobody has asked whether it is at work')
  await runner.query('SELECT pg_advisory_unlock(1)')
  assert.equal((await waiting)[0]?.got, 'it')
  await runner.release()
})

test('a session that is half-open fails its statement, and the pool takes another', async () => {
  await using pool = await openPool()
  const { database, proxy } = pool
  assert.equal(proxy.freeze(/^longshore$/), 1)

  await assert.rejects(database.query('SELECT 1'), (error) => {
    assert.match((error as Error).message, /the database does not answer/)
    return isDatabaseAway(error)
  })
  assert.deepEqual(await database.query('SELECT 1 AS one'), [{ one: 1 }])
})

test('a server that vanishes fails all statements, and those of transactions', async () => {
  await using pool = await openPool()
  const { database, proxy } = pool
  const runner = database.createQueryRunner()
  await runner.startTransaction()
  proxy.pause()

  const inside = assert.rejects(runner.query('SELECT 1'), isDatabaseAway)
  await assert.rejects(
    database.transaction((manager) => manager.query('SELECT 1')),
    isDatabaseAway,
  )
  await inside
  await assert.rejects(runner.rollbackTransaction())
  await runner.release()
  proxy.resume()
  assert.deepEqual(await database.query('SELECT 1 AS one'), [{ one: 1 }])
})

test('the server is asked to look after its side of each session as well', async () => {
  await using pool = await openPool()
  const shown = await pool.database.query<{ name: string; setting: string }[]>(
    `SELECT name, setting FROM pg_settings WHERE name ~ '^tcp_(keepalives|user)_' ORDER BY name`,
  )
  assert.deepEqual(
    shown.map(({ setting }) => setting),
    ['4', '20', '5', '40000'],
  )
})
