import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp, graphql, tryGraphql, wsClient } from '../support/client.js'
import { Installation, TOKEN } from '../support/server.js'

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
  let app: { appId: string; deploymentId: string }

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start({ ROLES: 'api' })
    app = await createApp(port, { name: 'shop', repoUrl: REPO })
  })
  after(() => installation[Symbol.asyncDispose]())

  async function posted(query: string, variables: object = {}): Promise<Extensions | undefined> {
    return (await tryGraphql(port, query, variables)).errors?.[0]?.extensions
  }

  type Client = ReturnType<typeof wsClient>
  async function subscribed(client: Client, query: string, variables = {}): Promise<Extensions | undefined> {
    const answers = client.iterate({ query, variables })
    try {
      const answer = (await answers.next()) as { value?: { errors?: { extensions?: Extensions }[] } }
      return answer.value?.errors?.[0]?.extensions
    } catch (errors) {
      return (errors as { extensions?: Extensions }[])[0]?.extensions
    } finally {
      await answers.return?.()
    }
  }

  test('what GraphQL itself refuses is BAD_USER_INPUT, with the field where it says one', async () => {
    const wrong: [query: string, field?: string][] = [
      ['mutation { createApp(input: { name: "x" }) { id } }', 'repoUrl'],
      [`mutation { createApp(input: { name: "x", repoUrl: "${REPO}", color: 1 }) { id } }`, 'color'],
      ['{ deployment { id } }', 'id'],
      ['{ deployment(id: "x", color: 1) { id } }', 'color'],
      ['{ nothing }'],
      ['{'],
      [''],
      ['query A { apps { totalCount } } query B { apps { totalCount } }'],
    ]
    for (const [query, field] of wrong) {
      const expected = { code: 'BAD_USER_INPUT', ...(field === undefined ? {} : { field }) }
      assert.deepEqual(await posted(query), expected, query)
    }
  })

  test('and so it is over the WebSocket', async () => {
    const client = wsClient(port)
    const wrong: [query: string, field?: string, variables?: object][] = [
      ['subscription {'],
      ['subscription { nothing }'],
      ['subscription { deploymentUpdated { id } }', 'id'],
      ['subscription ($id: ID!) { deploymentUpdated(id: $id) { id } }', 'id'],
      [
        'subscription ($n: Int!) { deploymentLogs(deploymentId: "x", after: $n) { seq } }',
        'n',
        { n: 'many' },
      ],
    ]
    for (const [query, field, variables] of wrong) {
      const expected = { code: 'BAD_USER_INPUT', ...(field === undefined ? {} : { field }) }
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
      deployment: { logs: { events: { seq: number; end: object | null }[]; end: object | null } }
    }
    const page = async (from: number) =>
      (await graphql<Found>(port, query, { id: deploymentId, after: from })).deployment.logs
    const end = { lastSeq: 1 }
    assert.deepEqual(await page(0), { events: [{ seq: 1, end }], end })
    assert.deepEqual(await page(1), { events: [], end })
  })
})
