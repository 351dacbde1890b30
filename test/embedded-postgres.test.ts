import assert from 'node:assert/strict'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, test } from 'node:test'
import pg from 'pg'
import { readConfig } from '../src/config.js'
import { openDatabaseOf } from '../src/core.js'
import { Disposal } from '../src/disposal.js'
import { createLogger } from '../src/logger.js'
import { startEmbeddedServer } from '../src/postgres/embedded-server.js'
import { until } from './support/server.js'

const MODULE = new URL('../src/postgres/embedded-server.js', import.meta.url).href
const isRoot = process.getuid?.() === 0

describe('the embedded PostgreSQL', () => {
  let folder = ''
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'longshore-pg-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('keeps its data from one start to the next', async () => {
    {
      await using server = await startEmbeddedServer(folder)
      await query(server.url, 'CREATE TABLE kept AS SELECT 7 AS value')
    }
    await using again = await startEmbeddedServer(folder)
    assert.deepEqual(await query(again.url, 'SELECT value FROM kept'), [{ value: 7 }])
  })

  test('dies with a process that is killed, and loses nothing that was committed', async () => {
    const owner = startOwner(folder)
    const url = await owner.url
    await query(url, 'CREATE TABLE kept AS SELECT 7 AS value')
    owner.child.kill('SIGKILL')
    const postmaster = Number(readFileSync(join(folder, 'data/postmaster.pid'), 'utf8').split('\n')[0])
    await using again = await startEmbeddedServer(folder)
    assert.equal(commandLine(postmaster), '', 'the killed process’s server lives on')
    assert.deepEqual(await query(again.url, 'SELECT value FROM kept'), [{ value: 7 }])
  })

  test(
    'runs twice at once in two folders, and refuses a folder that is in use',
    { timeout: 60_000 },
    async () => {
      const other = mkdtempSync(join(tmpdir(), 'longshore-pg-'))
      try {
        await using one = await startEmbeddedServer(folder)
        await using two = await startEmbeddedServer(other)
        assert.notEqual(one.url, two.url)
        assert.deepEqual(await query(two.url, 'SELECT 1 AS value'), [{ value: 1 }])
        await assert.rejects(startEmbeddedServer(folder), /is already running with this DATA_DIR|in use/)
      } finally {
        rmSync(other, { recursive: true, force: true })
      }
    },
  )

  test('tells its owner when it ends although nobody stopped it', async () => {
    await using server = await startEmbeddedServer(folder)
    const postmaster = Number(readFileSync(join(folder, 'data/postmaster.pid'), 'utf8').split('\n')[0])
    process.kill(postmaster, 'SIGQUIT')
    await assert.rejects(server.failed, /PostgreSQL ended/)
  })

  test('runs for a plain user', { skip: isRoot ? false : 'only root can become one' }, async () => {
    chownSync(folder, 65_534, 65_534)
    const owner = startOwner(folder, { uid: 65_534, gid: 65_534 })
    assert.deepEqual(await query(await owner.url, 'SELECT 1 AS value'), [{ value: 1 }])
    owner.child.kill('SIGTERM')
    await once(owner.child, 'exit')
  })

  test('is not kept from its clients by what the environment says of other databases', async () => {
    const before = { ...process.env }
    Object.assign(process.env, {
      PGSSLMODE: 'require',
      PGOPTIONS: '-c nonsense=1',
      PGSSLROOTCERT: '/nowhere',
    })
    try {
      await using opened = new Disposal()
      const config = readConfig({ DATA_DIR: folder })
      const { database } = await openDatabaseOf(config, createLogger('error'), opened)
      assert.deepEqual(await database.query('SELECT 7 AS value'), [{ value: 7 }])
    } finally {
      process.env = before
    }
  })

  test('is not reachable without its password', async () => {
    await using server = await startEmbeddedServer(folder)
    const url = new URL(server.url)
    url.password = 'wrong'
    await assert.rejects(query(url.href, 'SELECT 1'), /password authentication failed/)
  })
})

/** A process that owns a server and prints its URL. */
function startOwner(folder: string, user: { uid?: number; gid?: number } = {}) {
  const script = `import { startEmbeddedServer } from ${JSON.stringify(MODULE)}
    const server = await startEmbeddedServer(${JSON.stringify(folder)})
    process.stdout.write(server.url)
    process.once('SIGTERM', () => server[Symbol.asyncDispose]())
    setInterval(() => undefined, 60_000).unref()`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    ...user,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')))
  return { child, url: until(() => (said.startsWith('postgres://') ? said : null)) }
}

/** Empty for a process that has ended, also where nobody has reaped it yet. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}
