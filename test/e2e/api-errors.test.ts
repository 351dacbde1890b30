import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { createApp, graphql, stageOf, tryGraphql, wsClient } from '../support/client.js'
import { Installation, type ServerProcess, TOKEN, until } from '../support/server.js'

const REPO = 'https://git.invalid/team/shop.git'
const NUL = 'a\0b'

interface Extensions {
  readonly code?: string
  readonly field?: string
}

/** Every error has a code of the contract, whoever found it, over HTTP and over the WebSocket. */
describe('errors of the API', () => {
  let installation: Installation
  let port = 0
  let server: ServerProcess
  let app: { appId: string; deploymentId: string }

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    server = await installation.start({ ROLES: 'api' })
    app = await createApp(port, { name: 'shop', repoUrl: REPO })
  })
  after(() => installation[Symbol.asyncDispose]())

  async function posted(query: string, variables: object = {}): Promise<Extensions | undefined> {
    return shown((await tryGraphql(port, query, variables)).errors?.[0]?.extensions)
  }

  /** All fields are in integration/bad-fields. */
  const shown = (extensions: Extensions | undefined): Extensions | undefined => {
    const { code, field } = extensions ?? {}
    return extensions && (field === undefined ? { code } : { code, field })
  }
  const rest = (method: string, path: string, body: string | null = null) =>
    fetch(`http://127.0.0.1:${port}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body,
    })

  type Client = ReturnType<typeof wsClient>
  async function subscribed(client: Client, query: string, variables = {}): Promise<Extensions | undefined> {
    const answers = client.iterate({ query, variables })
    try {
      const answer = (await answers.next()) as { value?: { errors?: { extensions?: Extensions }[] } }
      return shown(answer.value?.errors?.[0]?.extensions)
    } catch (errors) {
      return shown((errors as { extensions?: Extensions }[])[0]?.extensions)
    } finally {
      await answers.return?.()
    }
  }

  test('what GraphQL itself refuses keeps its code, with the field where it says one', async () => {
    const wrong: [query: string, field?: string, code?: string][] = [
      ['mutation { createApp(input: { name: "x" }) { id } }', 'repoUrl'],
      [`mutation { createApp(input: { name: "x", repoUrl: "${REPO}", color: 1 }) { id } }`, 'color'],
      ['{ deployment { id } }', 'id'],
      ['{ deployment(id: "x", color: 1) { id } }', 'color'],
      ['{ nothing }'],
      ['{', undefined, 'GRAPHQL_PARSE_FAILED'],
      ['', undefined, 'BAD_REQUEST'],
      ['query A { nodes: __typename } query B { __typename }', undefined, 'OPERATION_RESOLUTION_FAILURE'],
    ]
    for (const [query, field, code = 'GRAPHQL_VALIDATION_FAILED'] of wrong) {
      const expected = { code, ...(field === undefined ? {} : { field }) }
      assert.deepEqual(await posted(query), expected, query)
    }
  })

  test('and so it is over the WebSocket', async () => {
    const client = wsClient(port)
    const wrong: [query: string, code: string, field?: string, variables?: object][] = [
      ['subscription {', 'GRAPHQL_PARSE_FAILED'],
      ['subscription { nothing }', 'GRAPHQL_VALIDATION_FAILED'],
      ['subscription { deploymentUpdated { id } }', 'GRAPHQL_VALIDATION_FAILED', 'id'],
      ['subscription ($id: ID!) { deploymentUpdated(id: $id) { id } }', 'BAD_USER_INPUT', 'id'],
      ['subscription ($n: ID!) { deploymentUpdated(id: $n) { id } }', 'BAD_USER_INPUT', 'n', { n: [] }],
    ]
    for (const [query, code, field, variables] of wrong) {
      const expected = { code, ...(field === undefined ? {} : { field }) }
      assert.deepEqual(await subscribed(client, query, variables), expected, query)
    }
    const unknown = await subscribed(client, 'subscription { deploymentUpdated(id: "x") { id } }')
    assert.deepEqual(unknown, { code: 'NOT_FOUND', field: 'id' })
    await client.dispose()
  })

  test('a NUL names its field and is no fault of the server', async () => {
    const bad = (field: string) => ({ code: 'BAD_USER_INPUT', field })
    assert.deepEqual(await posted('{ apps(after: "AA") { totalCount } }'), bad('after'))
    assert.deepEqual(await posted('query ($x: ID!) { deployment(id: $x) { id } }', { x: NUL }), bad('id'))
    assert.deepEqual(await posted('query ($x: String) { app(name: $x) { id } }', { x: NUL }), bad('name'))
    const stage = 'query ($id: ID, $x: String!) { app(id: $id) { stage(name: $x) { id } } }'
    assert.deepEqual(await posted(stage, { id: app.appId, x: NUL }), bad('name'))
    const deploy = 'mutation ($id: ID!, $x: DeployInput) { deploy(appId: $id, input: $x) { id } }'
    for (const field of ['idempotencyKey', 'stage']) {
      assert.deepEqual(await posted(deploy, { id: app.appId, x: { [field]: NUL } }), bad(field))
    }
    const client = wsClient(port)
    const updated = 'subscription ($x: ID!) { deploymentUpdated(id: $x) { id } }'
    assert.deepEqual(await subscribed(client, updated, { x: NUL }), bad('id'))
    await client.dispose()
    for (const path of ['apps/a%00b', 'deployments/a%00b', 'apps?after=AA', 'apps?after=%00']) {
      const headers = { authorization: `Bearer ${TOKEN}` }
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { headers })
      assert.equal(answer.status, 400, path)
    }
  })

  test('a body that is none is answered as GraphQL answers', async () => {
    const bodies: [status: number, type: string, body: string][] = [
      [400, 'application/json', '{"query":'],
      [400, 'application/json', ''],
      [400, 'application/json', '[]'],
      [415, 'application/xml', '<query/>'],
      [413, 'application/json', JSON.stringify({ query: 'x'.repeat(1024 * 1024) })],
    ]
    for (const [status, type, body] of bodies) {
      const headers = { 'content-type': type, authorization: `Bearer ${TOKEN}` }
      const answer = await fetch(`http://127.0.0.1:${port}/graphql`, { method: 'POST', headers, body })
      assert.equal(answer.status, status, body.slice(0, 20))
      const { errors } = (await answer.json()) as { errors: { message: string; extensions: Extensions }[] }
      assert.ok(errors[0]?.message)
      assert.equal(errors[0].extensions.code, body === '[]' ? 'BAD_REQUEST' : 'BAD_USER_INPUT')
    }
  })

  test('what is no cursor, or one of another list, is refused and begins nowhere', async () => {
    const lists = {
      apps: 'query ($x: String) { apps(first: 1, after: $x) { totalCount edges { cursor } } }',
      deployments: 'query ($x: String) { app(name: "shop") { deployments(after: $x) { edges { cursor } } } }',
      deliveries:
        'query ($x: String) { app(name: "shop") { webhook { deliveries(after: $x) { totalCount } } } }',
    }
    const cursors: string[] = []
    for (const query of [lists.apps, lists.deployments]) {
      const found = /"cursor":"([^"]+)"/.exec(JSON.stringify(await graphql(port, query)))?.[1]
      assert.ok(found)
      cursors.push(found)
    }
    const refused = { code: 'BAD_USER_INPUT', field: 'after' }
    for (const x of ['', '!!!', 'MQ', 'c2hvcA', `${cursors[0]}=`, `${cursors[0]}!`]) {
      for (const query of Object.values(lists)) assert.deepEqual(await posted(query, { x }), refused, x)
    }
    const [ofApps, ofDeployments] = cursors
    assert.deepEqual(await posted(lists.apps, { x: ofDeployments }), refused)
    assert.deepEqual(await posted(lists.deployments, { x: ofApps }), refused)
    assert.deepEqual(await posted(lists.deliveries, { x: ofDeployments }), refused)
    assert.equal(await posted(lists.apps, { x: ofApps }), undefined)
    assert.equal((await rest('GET', 'apps?after=')).status, 400)
  })

  test('keys to unset may be many, and one with a NUL is named', async () => {
    const unset =
      'mutation ($id: ID!, $keys: [String!]!) { unsetVariables(stageId: $id, keys: $keys) { id } }'
    const id = await stageOf(port, app.appId)
    const found = await posted(unset, { id, keys: ['A', NUL] })
    assert.deepEqual(found, { code: 'BAD_USER_INPUT', field: 'keys[1]' })
    const keys = Array.from({ length: 10_000 }, (_, n) => n.toString(36))
    assert.equal(await posted(unset, { id, keys }), undefined)
  })

  test('what names nothing is named by its argument', async () => {
    const id = 'mutation { {} }'
    const commands = [
      'deploy(appId: "x") { id }',
      'rollback(appId: "x") { id }',
      'createStage(appId: "x", name: "next") { id }',
      'rotateWebhookSecret(appId: "x") { secret }',
      'setCommitStatus(appId: "x", forge: GITHUB, token: "0123456789") { id }',
      'unsetCommitStatus(appId: "x") { id }',
    ]
    for (const command of commands) {
      const found = await posted(id.replace('{}', command))
      assert.deepEqual(found, { code: 'NOT_FOUND', field: 'appId' }, command)
    }
    assert.deepEqual(await posted('mutation { updateApp(id: "x", input: {}) { id } }'), {
      code: 'NOT_FOUND',
      field: 'id',
    })
    const client = wsClient(port)
    const log = await subscribed(client, 'subscription { deploymentLogs(deploymentId: "x") { seq } }')
    assert.deepEqual(log, { code: 'NOT_FOUND', field: 'deploymentId' })
    await client.dispose()
  })

  test('an app cannot have the name of a deployment’s containers', async () => {
    const create = 'mutation ($input: CreateAppInput!) { createApp(input: $input) { id } }'
    const named = (name: string) => posted(create, { input: { name, repoUrl: REPO, deploy: false } })
    const conflict = { code: 'CONFLICT', field: 'name' }
    assert.deepEqual(await named(`shop-${app.deploymentId}`), conflict)
    assert.equal(await named(`other-${app.deploymentId}`), undefined)
  })

  test('REST names what was given to it', async () => {
    const field = async (answer: Response) =>
      ((await answer.json()) as { error: { field: string | null } }).error.field
    for (const limit of ['0', '201', 'x']) {
      assert.equal(await field(await rest('GET', `apps?limit=${limit}`)), 'limit')
    }
    const body = JSON.stringify({ name: 'rest', repo_url: REPO, variables: { API_KEY: 1 } })
    assert.equal(await field(await rest('POST', 'apps', body)), 'variables.API_KEY')
  })

  test('/health tells nobody what the driver of Docker said', async () => {
    const client = new pg.Client({ connectionString: installation.database.url })
    await client.connect()
    await client.query(`INSERT INTO worker (id, docker_error) VALUES ('w', 'ENOENT /secret/docker.sock')`)
    const health = await (await fetch(`http://127.0.0.1:${port}/health`)).text()
    await client.query('DELETE FROM worker')
    await client.end()
    assert.match(health, /"docker":\{"status":"down"/)
    assert.doesNotMatch(health, /secret/)
    await until(() => /health: the Docker engine is down .*secret/.test(server.output))
  })

  test('of the subscriptions of a connection only those that live count', async () => {
    const client = wsClient(port)
    for (let n = 0; n < 150; n++) await subscribed(client, 'subscription { nothing }')
    const live = Array.from({ length: 100 }, () => {
      const variables = { id: app.deploymentId }
      const query = 'subscription ($id: ID!) { deploymentUpdated(id: $id) { id } }'
      return client.iterate({ query, variables })
    })
    for (const one of live) assert.doesNotMatch(JSON.stringify(await one.next()), /errors/)
    const query = 'subscription { deploymentUpdated(id: "x") { id } }'
    assert.deepEqual(await subscribed(client, query), { code: 'RATE_LIMITED' })
    await live[0]?.return?.()
    assert.equal((await subscribed(client, query))?.code, 'NOT_FOUND')
    await client.dispose()
  })

  test('the pages of a log that has ended come to an end', async () => {
    const { deploymentId } = await createApp(port, { name: 'ended', repoUrl: REPO })
    await graphql(port, 'mutation ($id: ID!) { cancelDeployment(id: $id) { id } }', { id: deploymentId })
    const query = `query ($id: ID!, $after: Int!) {
      deployment(id: $id) { logs(after: $after, first: 1) { events { seq end { lastSeq } } end { lastSeq } } }
    }`
    interface Found {
      deployment: { logs: { events: { seq: number; end: object | null }[]; end: { lastSeq: number } } }
    }
    const page = async (from: number) =>
      (await graphql<Found>(port, query, { id: deploymentId, after: from })).deployment.logs
    // After 15 s without a worker a line says so: then the log has two.
    const { end } = await page(0)
    assert.deepEqual(await page(end.lastSeq - 1), { events: [{ seq: end.lastSeq, end }], end })
    assert.deepEqual(await page(end.lastSeq), { events: [], end })
  })
})
