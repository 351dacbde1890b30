import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import { createDataSource } from '../../src/database.js'
import { Queries } from '../../src/engine/queries.js'
import { serveHealth } from '../../src/http/health.js'
import type { ServerDependencies } from '../../src/http/server-dependencies.js'

test('/health gives nobody the words of a driver, and writes them down once', async () => {
  const written: string[] = []
  const note = (message: string, fields = {}) => void written.push(`${message} ${JSON.stringify(fields)}`)
  const logger = { debug: note, info: note, warn: note, error: note }
  const queries = new Queries(createDataSource('postgres://127.0.0.1:1/secret-name'))
  const app = Fastify()
  serveHealth(app, { api: { queries }, logger } as unknown as ServerDependencies)
  for (let n = 0; n < 3; n++) {
    const answer = await app.inject('/health')
    assert.equal(answer.statusCode, 503)
    const { database } = answer.json<{ database: object }>()
    assert.deepEqual(database, {
      status: 'down',
      message: 'the database does not answer: the log says why',
    })
  }
  assert.equal(written.length, 1)
  assert.match(written[0] ?? '', /^health: the database is down .*"error":"\w/)
  await app.close()
})
