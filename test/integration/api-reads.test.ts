import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import type { ApiServer } from '../support/api-server.js'
import type { TestProcess } from '../support/engine.js'
import { useApi } from '../support/use-api.js'

interface Found {
  readonly id: string
  readonly name?: string
  readonly __typename?: string
}
interface Connection {
  readonly nodes: Found[]
  readonly totalCount: number
  readonly pageInfo: Record<string, unknown>
}

const PAGE = 'nodes { id } totalCount pageInfo { startCursor endCursor hasPreviousPage hasNextPage }'

describe('what the API reads', () => {
  let process: TestProcess
  let api: ApiServer

  useApi((opened, used) => ([api, process] = [opened, used]))

  async function read<T>(query: string, variables: object = {}): Promise<T> {
    const { data, errors } = await api.post(query, variables)
    assert.equal(errors, undefined, JSON.stringify(errors))
    return data as T
  }

  /** An app whose production and staging have a deployment each. */
  async function create(name: string, repoUrl = 'https://git.invalid/team/shop.git') {
    const app = await process.commands.apps.create({ name, repoUrl })
    const staging = await process.commands.stages.create(app.id, 'staging', 'next')
    const later = await process.commands.deployments.deploy(app.id, { stage: 'staging', ref: 'v1' })
    const [first] = await process.database.query<{ id: string; stage_id: string }[]>(
      `SELECT id, stage_id FROM deployment WHERE app_id = $1 AND trigger = 'CREATE'`,
      [app.id],
    )
    assert.ok(first)
    return { app, staging, first: first.id, production: first.stage_id, later: later.id }
  }

  async function list(filter: object, more = ''): Promise<string[]> {
    const query = `query ($filter: DeploymentFilter) { deployments(filter: $filter${more}) { nodes { id } } }`
    const { deployments } = await read<{ deployments: Connection }>(query, { filter })
    return deployments.nodes.map(({ id }) => id)
  }

  test('deployments of all apps, newest first, those that fit a filter', async () => {
    const one = await create('one')
    const two = await create('two')
    assert.deepEqual((await list({})).slice(0, 4), [two.later, two.first, one.later, one.first])
    assert.deepEqual(await list({ appId: one.app.id }), [one.later, one.first])
    assert.deepEqual(await list({ appId: one.app.id, stage: 'staging' }), [one.later])
    assert.deepEqual(await list({ appId: one.app.id, trigger: ['CREATE', 'WEBHOOK'] }), [one.first])
    assert.deepEqual(await list({ appId: two.app.id, ref: 'v1' }), [two.later])
    assert.deepEqual(await list({ appId: two.app.id, since: new Date(Date.now() + 60_000) }), [])
    await process.commands.deployments.cancel(two.first)
    assert.deepEqual(await list({ appId: two.app.id, status: ['CANCELLED', 'FAILED'] }), [two.first])
    // One whose switch no router has followed is shown as it was, and found so.
    await process.database.query(
      `UPDATE deployment SET status = 'RUNNING', shown_as = 'ROUTING' WHERE id = $1`,
      [one.later],
    )
    assert.deepEqual(await list({ status: ['ROUTING'] }), [one.later])
    assert.deepEqual(await list({ status: ['RUNNING'] }), [])
    await process.database.query('UPDATE app SET deleted_at = now() WHERE id = $1', [one.app.id])
    assert.deepEqual(await list({ appId: one.app.id }), [])
  })

  test('a page says where it begins and ends, and whether there is more on both sides', async () => {
    const { app, first, later } = await create('paged')
    const query = `query ($id: ID!, $after: String) { app(id: $id) { deployments(first: 1, after: $after) { ${PAGE} } } }`
    const page = async (after: string | null) =>
      (await read<{ app: { deployments: Connection } }>(query, { id: app.id, after })).app.deployments
    const begin = await page(null)
    assert.deepEqual([begin.nodes, begin.totalCount], [[{ id: later }], 2])
    const { startCursor, endCursor, ...more } = begin.pageInfo
    assert.equal(startCursor, endCursor)
    assert.deepEqual(more, { hasPreviousPage: false, hasNextPage: true })
    const end = await page(endCursor as string)
    assert.deepEqual(end.nodes, [{ id: first }])
    assert.deepEqual([end.pageInfo.hasPreviousPage, end.pageInfo.hasNextPage], [true, false])
  })

  test('apps whose name or repository has a text in it, whatever signs it has', async () => {
    await create('search-me', 'https://git.invalid/Team/50%_off.git')
    const search = async (text: string) => {
      const query = 'query ($text: String) { apps(search: $text) { nodes { name } totalCount } }'
      const { apps } = await read<{ apps: Connection }>(query, { text })
      assert.equal(apps.totalCount, apps.nodes.length)
      return apps.nodes.map(({ name }) => name)
    }
    for (const text of ['search', 'H-ME', 'team/50', '50%_OFF'])
      assert.deepEqual(await search(text), ['search-me'], text)
    assert.deepEqual(await search('5_%'), [])
    assert.ok((await search('')).length > 1)
  })

  test('the latest deployment of an app, of whatever stage', async () => {
    const { app, later } = await create('latest')
    const query = 'query ($id: ID!) { app(id: $id) { latestDeployment { id stage { name } } } }'
    const { app: found } = await read<{ app: object }>(query, { id: app.id })
    assert.deepEqual(found, { latestDeployment: { id: later, stage: { name: 'staging' } } })
  })

  test('whatever has an id, by it; nothing of an app that is deleted', async () => {
    const { app, staging, first } = await create('by-id')
    const ids = [first, 'nothing', staging.id, app.id, first]
    const nodes = () =>
      read<{ nodes: unknown[] }>('query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }', { ids })
    const types = ['Deployment', null, 'Stage', 'App', 'Deployment']
    const expected = types.map((__typename, index) => __typename && { __typename, id: ids[index] })
    assert.deepEqual((await nodes()).nodes, expected)
    const one = 'query ($id: ID!) { node(id: $id) { ... on App { name } } stage(id: $id) { id } }'
    assert.deepEqual(await read(one, { id: app.id }), { node: { name: 'by-id' }, stage: null })
    assert.deepEqual(await read(one, { id: staging.id }), { node: {}, stage: { id: staging.id } })
    await process.database.query('UPDATE app SET deleted_at = now() WHERE id = $1', [app.id])
    assert.deepEqual((await nodes()).nodes, [null, null, null, null, null])
    const { errors } = await api.post('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', {
      ids: Array(101).fill('x'),
    })
    assert.deepEqual([errors?.[0]?.extensions.code, errors?.[0]?.extensions.field], ['BAD_USER_INPUT', 'ids'])
  })

  for (const status of Object.values(DeploymentStatus)) {
    test(`whether a deployment can be cancelled or returned to is as the commands take it: ${status}`, async () => {
      const { app, first } = await create(`can-${status.toLowerCase().replace('_', '-')}`)
      const hasServed = ['RUNNING', 'RETIRED', 'ROLLED_BACK'].includes(status)
      await process.database.query(
        `UPDATE deployment SET status = $2, image_id = $3, live_at = $4 WHERE id = $1`,
        [first, status, hasServed ? 'sha256:1' : null, hasServed ? new Date() : null],
      )
      const query = 'query ($id: ID!) { deployment(id: $id) { canCancel canRollback } }'
      const { deployment } = await read<{ deployment: Record<string, boolean> }>(query, { id: first })
      const rollback = 'mutation ($app: ID!, $id: ID!) { rollback(appId: $app, toDeploymentId: $id) { id } }'
      const rolledBack = await api.post(rollback, { app: app.id, id: first })
      assert.equal(deployment.canRollback, rolledBack.errors === undefined)
      const cancelled = await api.post('mutation ($id: ID!) { cancelDeployment(id: $id) { id } }', {
        id: first,
      })
      assert.equal(deployment.canCancel, cancelled.errors === undefined)
    })
  }

  test('what the installation is', async () => {
    await process.database.query(
      `INSERT INTO worker (id, seen_at, docker_version) VALUES ('w', now(), '29.0')`,
    )
    await create('waits')
    const query = '{ serverInfo { version baseDomain router dockerVersion queueLength workers } }'
    const { serverInfo } = await read<{ serverInfo: Record<string, unknown> }>(query)
    const [row] = await process.database.query<{ count: number }[]>(
      `SELECT count(*)::int FROM deployment d JOIN app a ON a.id = d.app_id WHERE d.status = 'PENDING' AND a.deleted_at IS NULL`,
    )
    assert.deepEqual(serverInfo, {
      version: '0.1.0',
      baseDomain: 'localhost',
      router: 'builtin',
      dockerVersion: '29.0',
      queueLength: row?.count,
      workers: 1,
    })
  })

  test('the code of an error by its name; one that is not given any more as INTERNAL', async () => {
    const { first } = await create('failed')
    const sql = `UPDATE deployment SET error_code = $2, error_phase = 'BUILDING' WHERE id = $1`
    const code = async (stored: string) => {
      await process.database.query(sql, [first, stored])
      const query = 'query ($id: ID!) { deployment(id: $id) { error { code phase } } }'
      return (await read<{ deployment: { error: object } }>(query, { id: first })).deployment.error
    }
    assert.deepEqual(await code('BUILD_FAILED'), { code: 'BUILD_FAILED', phase: 'BUILDING' })
    assert.deepEqual(await code('OF_LONG_AGO'), { code: 'INTERNAL', phase: 'BUILDING' })
  })
})
