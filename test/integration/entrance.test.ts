import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { printedSchema } from '../../src/resolvers/build-schema.js'
import type { ApiServer } from '../support/api-server.js'
import { useApi } from '../support/use-api.js'

describe('somebody who has the address alone', () => {
  let api: ApiServer

  useApi((opened) => (api = opened))

  const get = (path: string, accept = '*/*') =>
    fetch(`http://127.0.0.1:${api.port}${path}`, { headers: { accept }, redirect: 'manual' })

  test('is sent to the explorer in a browser, and told the paths as a program', async () => {
    const page = await get('/', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8')
    assert.deepEqual([page.status, page.headers.get('location')], [302, '/graphql'])
    const answer = await get('/')
    const paths = (await answer.json()) as Record<string, string>
    assert.deepEqual([answer.status, paths.name], [200, 'Longshore'])
    for (const path of [paths.graphql, paths.schema, paths.health, paths.ready]) {
      assert.equal((await get(path ?? '')).status === 401, false, path)
    }
  })

  test('gets the schema as text, without a token', async () => {
    const answer = await get('/graphql/schema')
    assert.deepEqual([answer.status, await answer.text()], [200, await printedSchema()])
  })

  test('is told what a webhook is for, and not asked for a token', async () => {
    const answer = await get('/hooks/any')
    assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST'])
    assert.match(await answer.text(), /enter its address at your forge/)
  })
})
