import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { followLog, graphql, tryGraphql, wsClient } from '../support/client.js'
import { Installation, TOKEN } from '../support/server.js'

const CREATE = 'mutation ($input: CreateAppInput!) { createApp(input: $input) { id name } }'
const REPO = 'https://git.invalid/team/shop.git'

/** The API role alone: commands, queries and their errors need no worker. */
describe('the API', () => {
  let installation: Installation
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start({ ROLES: 'api', ALLOW_FILE_REPOS: 'false' })
  })
  after(() => installation[Symbol.asyncDispose]())

  const url = (path: string) => `http://127.0.0.1:${port}${path}`
  const rest = (method: string, path: string, body?: unknown) =>
    fetch(url(path), {
      method,
      headers: {
        authorization: `Bearer ${TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })

  describe('access', () => {
    test('nothing but health, readiness and the explorer’s files is answered without the token', async () => {
      const closed: [string, string][] = [
        ['POST', '/graphql'],
        ['GET', '/api/v1/apps'],
        ['POST', '/api/v1/apps'],
        ['DELETE', '/api/v1/apps/x'],
        ['GET', '/api/v1/deployments/x'],
        ['GET', '/no/such/thing'],
      ]
      for (const [method, path] of closed) {
        const answer = await fetch(url(path), { method })
        assert.equal(answer.status, 401, `${method} ${path}`)
        assert.match(await answer.text(), /UNAUTHENTICATED/)
      }
      for (const path of ['/health', '/ready', '/graphql', '/graphql/assets/graphiql.js']) {
        assert.equal((await fetch(url(path))).status, 200, path)
      }
    })

    test('a wrong token is refused over HTTP and over the WebSocket', async () => {
      const answer = await tryGraphql(port, '{ apps { totalCount } }', {}, 'not-the-right-token')
      assert.equal(answer.errors?.[0]?.extensions.code, 'UNAUTHENTICATED')
      const client = wsClient(port, 'not-the-right-token')
      const answers = client.iterate({ query: 'subscription { deploymentUpdated(id: "x") { id } }' })
      await assert.rejects(answers.next(), (close: { code: number }) => close.code === 4403)
    })

    test('the token is taken from the header of the WebSocket’s request as well', async () => {
      const headers = { authorization: `Bearer ${TOKEN}` }
      const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws', { headers })
      const acknowledged = new Promise((resolve, reject) => {
        socket.once('message', (data: Buffer) => resolve(data.toString()))
        socket.once('error', reject)
      })
      socket.once('open', () => socket.send('{"type":"connection_init"}'))
      assert.equal(await acknowledged, '{"type":"connection_ack"}')
      socket.terminate()
    })
  })

  test('queries and mutations are refused over the WebSocket', async () => {
    const client = wsClient(port)
    const answers = client.iterate({ query: '{ apps { totalCount } }' })
    await assert.rejects(answers.next(), (errors: { message: string }[]) => {
      return errors[0]?.message.includes('only subscriptions') === true
    })
    await client.dispose()
  })

  test('a subscription by POST is refused with the way it goes', async () => {
    const { errors } = await tryGraphql(port, 'subscription { deploymentUpdated(id: "x") { id } }')
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
    assert.match(errors[0].message, /WebSocket/)
  })

  describe('input that is wrong names its field', () => {
    const wrong: [field: string, input: object][] = [
      ['name', { name: 'Shop', repoUrl: REPO }],
      ['name', { name: 'a--b', repoUrl: REPO }],
      ['name', { name: 'x'.repeat(33), repoUrl: REPO }],
      ['repoUrl', { name: 'shop' }],
      ['repoUrl', { name: 'shop', repoUrl: '--upload-pack=touch /tmp/x' }],
      ['repoUrl', { name: 'shop', repoUrl: 'ext::sh -c touch% /tmp/x' }],
      ['repoUrl', { name: 'shop', repoUrl: 'ssh://git:password@git.invalid/x' }],
      ['repoUrl', { name: 'shop', repoUrl: 'file:///etc' }],
      ['repoUrl', { name: 'shop', repoUrl: 'https://git.invalid/x\n--option' }],
      ['branch', { name: 'shop', repoUrl: REPO, branch: '--force' }],
      ['dockerfilePath', { name: 'shop', repoUrl: REPO, dockerfilePath: '../Dockerfile' }],
      ['contextPath', { name: 'shop', repoUrl: REPO, contextPath: '/etc' }],
      ['port', { name: 'shop', repoUrl: REPO, port: 70_000 }],
      ['target', { name: 'shop', repoUrl: REPO, target: 'a b' }],
      ['platform', { name: 'shop', repoUrl: REPO, platform: 'arm' }],
      ['buildArgs[0].key', { name: 'shop', repoUrl: REPO, buildArgs: [{ key: 'A-B', value: '' }] }],
      ['variables[0].key', { name: 'shop', repoUrl: REPO, variables: [{ key: 'A B', value: '' }] }],
    ]
    for (const [field, input] of wrong) {
      test(`${field}: ${JSON.stringify(input).slice(0, 90)}`, async () => {
        const { errors } = await tryGraphql(port, CREATE, { input })
        assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
        assert.equal(errors[0].extensions.field, field)
      })
    }

    test('an error shows nothing of the server’s inside', async () => {
      const { errors } = await tryGraphql(port, CREATE, { input: { name: 'X', repoUrl: REPO } })
      assert.deepEqual(Object.keys(errors?.[0]?.extensions ?? {}).sort(), ['code', 'field', 'fields'])
    })
  })

  test('a name that is taken is a CONFLICT', async () => {
    await graphql(port, CREATE, { input: { name: 'taken', repoUrl: REPO } })
    const { errors } = await tryGraphql(port, CREATE, { input: { name: 'taken', repoUrl: REPO } })
    assert.equal(errors?.[0]?.extensions.code, 'CONFLICT')
  })

  test('an unknown id is null for queries, false for deleteApp, NOT_FOUND for commands and subscriptions', async () => {
    assert.deepEqual(await graphql(port, '{ app(id: "none") { id } deployment(id: "none") { id } }'), {
      app: null,
      deployment: null,
    })
    assert.deepEqual(await graphql(port, 'mutation { deleteApp(id: "none") }'), { deleteApp: false })
    for (const command of ['deploy(appId: "none") { id }', 'cancelDeployment(id: "none") { id }']) {
      const { errors } = await tryGraphql(port, `mutation { ${command} }`)
      assert.equal(errors?.[0]?.extensions.code, 'NOT_FOUND', command)
    }
    await assert.rejects(followLog(port, 'none'), /there is no deployment none/)
  })

  test('what waits has its place in the queue, what does not has none', async () => {
    const first = '{ deployments(first: 1) { nodes { id queuePosition } } }'
    const ids: string[] = []
    for (const name of ['waits-a', 'waits-b']) {
      const query = `mutation ($input: CreateAppInput!) { createApp(input: $input) ${first} }`
      const { createApp } = await graphql<{ createApp: { deployments: { nodes: { id: string }[] } } }>(
        port,
        query,
        {
          input: { name, repoUrl: REPO },
        },
      )
      ids.push(createApp.deployments.nodes[0]?.id ?? '')
    }
    const place = async (id: string) => {
      const query = 'query ($id: ID!) { deployment(id: $id) { queuePosition } }'
      return (await graphql<{ deployment: { queuePosition: number | null } }>(port, query, { id })).deployment
        .queuePosition
    }
    const places = [await place(ids[0] ?? ''), await place(ids[1] ?? '')]
    const least = Math.min(...places.map(Number))
    assert.ok(least >= 1)
    const cancelled = ids[places.indexOf(least)] ?? ''
    await graphql(port, 'mutation ($id: ID!) { cancelDeployment(id: $id) { id } }', { id: cancelled })
    assert.equal(await place(cancelled), null)
    assert.equal(await place(ids.find((id) => id !== cancelled) ?? ''), Math.max(...places.map(Number)) - 1)
  })

  test('variables are shown by key and fingerprint, never by value', async () => {
    const input = {
      name: 'secretive',
      repoUrl: REPO,
      variables: [{ key: 'API_KEY', value: 'a-value-that-nobody-sees' }],
    }
    const query = CREATE.replace('name }', 'name stage { variables { key fingerprint } } }')
    const created = await graphql(port, query, { input })
    assert.match(JSON.stringify(created), /"key":"API_KEY","fingerprint":"[0-9a-f]{16}"/)
    assert.doesNotMatch(JSON.stringify(created), /nobody-sees/)
  })

  test('lists come in pages that meet without gap or repeat', async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) {
      await graphql(port, CREATE, { input: { name, repoUrl: REPO, deploy: false } })
    }
    const query = `query ($after: String) {
      apps(first: 2, after: $after) { nodes { name } pageInfo { endCursor hasNextPage } totalCount }
    }`
    interface Answer {
      apps: {
        nodes: { name: string }[]
        pageInfo: { endCursor: string | null; hasNextPage: boolean }
        totalCount: number
      }
    }
    const names: string[] = []
    for (let after: string | null = null; ;) {
      const { apps }: Answer = await graphql<Answer>(port, query, { after })
      names.push(...apps.nodes.map((app) => app.name))
      after = apps.pageInfo.endCursor
      if (!apps.pageInfo.hasNextPage) {
        assert.equal(names.length, apps.totalCount)
        break
      }
    }
    assert.deepEqual(names, [...new Set(names)].sort())
    const { errors } = await tryGraphql(port, '{ apps(first: 0) { totalCount } }')
    assert.equal(errors?.[0]?.extensions.field, 'first')
  })

  describe('REST', () => {
    test('speaks snake case, answers POST with 201 and DELETE with 204', async () => {
      const posted = await rest('POST', '/api/v1/apps', { name: 'restful', repo_url: REPO })
      assert.equal(posted.status, 201)
      const app = (await posted.json()) as { id: string; repo_url: string }
      assert.equal(app.repo_url, REPO)
      const list = (await (await rest('GET', '/api/v1/apps')).json()) as { name: string }[]
      assert.ok(list.some(({ name }) => name === 'restful'))
      const answer = await rest('GET', `/api/v1/apps/${app.id}/deployments`)
      const [deployment] = (await answer.json()) as { id: string; status: string }[]
      assert.equal(deployment?.status, 'pending')
      assert.equal((await rest('GET', `/api/v1/deployments/${deployment.id}`)).status, 200)
    })

    test('has the same errors as GraphQL, with the field in its own spelling', async () => {
      const bad = await rest('POST', '/api/v1/apps', { name: 'x', repo_url: 'file:///etc' })
      assert.equal(bad.status, 400)
      const { error } = (await bad.json()) as { error: { code: string; field: string } }
      assert.deepEqual([error.code, error.field], ['BAD_USER_INPUT', 'repo_url'])
      assert.equal((await rest('POST', '/api/v1/apps', { name: 'restful', repo_url: REPO })).status, 409)
      assert.equal((await rest('GET', '/api/v1/apps/none')).status, 404)
      assert.equal((await rest('DELETE', '/api/v1/apps/none')).status, 404)
      assert.equal((await rest('POST', '/api/v1/apps', [])).status, 400)
    })
  })

  test('/health tells process, database and Docker apart; without a worker Docker is unknown', async () => {
    const health = (await (await fetch(url('/health'))).json()) as Record<string, { status: string }>
    assert.equal(health.process?.status, 'ok')
    assert.equal(health.database?.status, 'ok')
    assert.equal(health.docker?.status, 'unknown')
  })

  test('the explorer’s page loads nothing from another host', async () => {
    const page = await (await fetch(url('/graphql'), { headers: { accept: 'text/html' } })).text()
    const sources = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
    assert.ok(sources.length >= 6)
    for (const source of sources.filter((path) => !path.startsWith('data:'))) {
      assert.match(source, /^\/graphql\/assets\//)
      assert.equal((await fetch(url(source))).status, 200, source)
    }
    assert.equal((await fetch(url('/graphql/assets/..%2f..%2fpackage.json'))).status, 404)
  })
})
