import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Files in memory: to make and to drop a database takes a third of the processor's time there. */
const MEMORY = '/dev/shm'
const MEMORY_BYTES = 2 * 1024 ** 3
/** Nothing in it is to survive a loss of power, and no database in it lives long enough to be vacuumed. */
const DISPOSABLE = ['fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum']

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
  const folder = mkdtempSync(join(placeForData(), 'longshore-test-'))
  const server = await startEmbeddedServer(folder)
  try {
    const { onDatabase } = await import('../../dist/test/support/tables.js')
    trustEverybody(join(folder, 'data/pg_hba.conf'))
    for (const setting of DISPOSABLE) await onDatabase(server.url, `ALTER SYSTEM SET ${setting} = off`)
    await onDatabase(server.url, 'SELECT pg_reload_conf()')
    await makeTemplate(server.url)
    return await work(server.url)
  } finally {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** On loopback, for minutes: to prove a password takes both ends of a connection 2.5 ms of processor. */
function trustEverybody(hba) {
  writeFileSync(hba, readFileSync(hba, 'utf8').replaceAll('scram-sha-256', 'trust'))
}

/** In containers the memory's folder is often too small. */
function placeForData() {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize >= MEMORY_BYTES ? MEMORY : tmpdir()
  } catch {
    return tmpdir()
  }
}
