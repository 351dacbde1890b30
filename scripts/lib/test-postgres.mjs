import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Calls `work` with the URL of a PostgreSQL server for tests: the one of TEST_DATABASE_URL, or else one that is started
 * for it and removed afterwards. The database that tests copy is on it, migrated.
 */
export async function withTestPostgres(work) {
  const { makeTemplate } = await import('../../dist/test/support/database-template.js')
  const given = process.env.TEST_DATABASE_URL
  if (given) {
    await makeTemplate(given)
    return work(given)
  }
  const { startEmbeddedServer } = await import('../../dist/src/postgres/embedded-server.js')
  const folder = mkdtempSync(join(tmpdir(), 'longshore-test-'))
  const server = await startEmbeddedServer(folder)
  try {
    await makeTemplate(server.url)
    return await work(server.url)
  } finally {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  }
}
