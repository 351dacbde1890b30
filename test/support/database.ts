import { randomBytes } from 'node:crypto'
import { onDatabase } from './tables.js'

/** Databases of tests are copies of it: to migrate each of them takes three times as long. */
export const TEMPLATE = 'longshore_template'

/** A database of this test's own on the server that `npm test` started. Disposing drops it. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string
}

/** @param template what it is a copy of: by default the migrated database that `npm test` made */
export async function createTestDatabase(template = TEMPLATE): Promise<TestDatabase> {
  const server = process.env.TEST_DATABASE_URL
  if (!server) throw new Error('TEST_DATABASE_URL is not set: run the tests with npm test')
  const name = `test_${randomBytes(6).toString('hex')}`
  await onDatabase(server, `CREATE DATABASE ${name} TEMPLATE ${template}`)
  return {
    url: databaseUrl(server, name),
    [Symbol.asyncDispose]: async () => void (await onDatabase(server, `DROP DATABASE ${name} WITH (FORCE)`)),
  }
}

export function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
