import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createDataSource, openDatabase } from '../../src/database.js'
import { createTestDatabase } from '../support/database.js'

describe('the migrations', () => {
  test('make what the entities describe: nothing is left to change', async () => {
    await using server = await createTestDatabase('template0')
    const database = await openDatabase(server.url)
    try {
      const { upQueries } = await database.driver.createSchemaBuilder().log()
      assert.deepEqual(
        upQueries.map(({ query }) => query),
        [],
      )
    } finally {
      await database.destroy()
    }
  })

  test('run once when several processes open an empty database at the same time', async () => {
    await using server = await createTestDatabase('template0')
    const opened = await Promise.all(Array.from({ length: 4 }, () => openDatabase(server.url)))
    const rows = await opened[0]?.query<{ name: string }[]>('SELECT name FROM migration')
    assert.equal(rows?.length, opened[0]?.migrations.length)
    for (const database of opened) await database.destroy()
  })

  test('can be taken back and run again', async () => {
    await using server = await createTestDatabase('template0')
    const database = await createDataSource(server.url).initialize()
    try {
      await database.runMigrations()
      for (const _ of database.migrations) await database.undoLastMigration()
      const tables = await database.query<{ tablename: string }[]>(
        `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`,
      )
      assert.deepEqual(
        tables.map(({ tablename }) => tablename),
        ['migration'],
      )
      await database.runMigrations()
    } finally {
      await database.destroy()
    }
  })
})
