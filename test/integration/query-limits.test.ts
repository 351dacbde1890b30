import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { CombinedGraphQLErrors, gql } from '@apollo/client'
import { getIntrospectionQuery } from 'graphql'
import type { ApiServer } from '../support/api-server.js'
import { type Answer, type ApiError } from '../support/api-server.js'
import { createApollo } from '../support/apollo.js'
import { wsClient } from '../support/client.js'
import type { TestProcess } from '../support/engine.js'
import { useApi } from '../support/use-api.js'

const repeat = (times: number, text: (index: number) => string) =>
  Array.from({ length: times }, (_, index) => text(index)).join(' ')
const nested = (levels: number, inner: string) =>
  `${'stage{app{'.repeat(levels)}${inner}${'}}'.repeat(levels)}`
const chain = (levels: number) =>
  repeat(levels, (n) => `fragment F${n} on App{...F${n + 1} ...F${n + 1}}`) +
  ` fragment F${levels} on App{id}`
const UNSET = 'mutation($keys:[String!]!){unsetVariables(stageId:"x",keys:$keys){id}}'
const ALL = `{apps(first:200){nodes{deployments(first:200){nodes{app{deployments(first:200){nodes{id}}}}}}}}`

describe('limits of queries', () => {
  let process: TestProcess
  let api: ApiServer
  let ids: { app: string; deployment: string }

  useApi(async (opened, used) => {
    ;[api, process] = [opened, used]
    const created = await posted(
      'mutation{createApp(input:{name:"shop",repoUrl:"https://git.invalid/a/b.git"}){id deployments{nodes{id}}}}',
    )
    const app = created.data?.createApp as { id: string; deployments: { nodes: { id: string }[] } }
    ids = { app: app.id, deployment: app.deployments.nodes[0]?.id ?? '' }
  })

  const posted = (query: string, variables: object = {}) => api.post(query, variables)

  /** The first event of a subscription, or why there is none. */
  async function subscribed(query: string, variables: Record<string, unknown> = {}): Promise<Answer> {
    const client = wsClient(api.port)
    const events = client.iterate({ query, variables })
    try {
      return ((await events.next()) as { value: Answer }).value
    } catch (errors) {
      return { errors: errors as ApiError[] }
    } finally {
      await events.return?.()
      await client.dispose()
    }
  }

  /** What is selected of a deployment, in a subscription. */
  const followed = (selection: string) =>
    `subscription{deploymentUpdated(id:"${ids.deployment}"){${selection}}}`

  function assertLimit({ data, errors }: Answer, name: string, value: number): void {
    assert.ok(Object.values(data ?? {}).every((value) => value === null))
    const error = errors?.find(({ extensions }) => extensions.limit)
    assert.deepEqual(
      error?.extensions,
      { code: 'BAD_USER_INPUT', limit: { name, value } },
      errors?.[0]?.message,
    )
    assert.match(error?.message ?? '', new RegExp(`at most ${value} are allowed \\(${name}\\): \\w+`))
  }

  test('pages inside of pages are refused, however their sizes are given', async () => {
    const asked: [query: string, variables?: object][] = [
      [ALL],
      ['{apps{nodes{deployments{nodes{app{deployments{nodes{app{deployments{nodes{id}}}}}}}}}}}'],
      [ALL.replace('{', 'query($n:Int!){').replaceAll('200', '$n'), { n: 200 }],
      [`query($n:Int!=200)${ALL.replaceAll('200', '$n')}`],
      [ALL.replaceAll('200', '1000')],
      [
        `{apps(first:200){edges{node{...A}}}}
          fragment A on App{deployments(first:200){edges{node{...D}}}} fragment D on Deployment{events{at to}}`,
      ],
      [`{apps(first:200){nodes{deployments(first:200){nodes{logs{events{text}}}}}}}`],
      [`mutation{deleteApp(id:"x") deploy(appId:"x"){app{${ALL.slice(ALL.indexOf('deployments'), -3)}}}}`],
      [`{apps{nodes{...F0}}} ${chain(40)}`],
    ]
    for (const [query, variables] of asked) {
      const answer = await api.send({ query, variables })
      assert.equal(answer.status, 400, query)
      assertLimit((await answer.json()) as Answer, 'maxCost', 50_000)
    }
    assertLimit(
      await subscribed(followed('app{deployments(first:200){nodes{app{deployments{nodes{id}}}}}}')),
      'maxEventCost',
      5_000,
    )
    assertLimit(await subscribed(followed(`app{...F0}`) + chain(40)), 'maxEventCost', 5_000)
  })

  test('a document is refused for what it is made of, by POST as over the WebSocket', async () => {
    const documents: [name: string, value: number, selection: string][] = [
      ['maxTokens', 1_000, repeat(2_000, (n) => `a${n}:id`)],
      ['maxTokens', 1_000, repeat(2_000, (n) => `nothing${n}`)],
      ['maxTokens', 1_000, `id ${repeat(2_000, () => '@include(if:true)')}`],
      ['maxTokens', 1_000, nested(2_000, 'id')],
      ['maxAliases', 100, repeat(101, (n) => `a${n}:id`)],
      ['maxDirectives', 50, repeat(51, (n) => `...@include(if:true){a${n}:id}`)],
      ['maxDepth', 15, nested(7, 'stage{id}')],
    ]
    assertLimit(await posted(`{${repeat(10_000, (n) => `a${n}:__typename`)}}`), 'maxTokens', 1_000)
    for (const [name, value, selection] of documents) {
      assertLimit(await posted(`{deployment(id:"x"){${selection}}}`), name, value)
      assertLimit(await subscribed(followed(selection)), name, value)
    }
    assertLimit(
      await posted(`{deployment(id:"x"){...D}} fragment D on Deployment{${nested(7, 'stage{id}')}}`),
      'maxDepth',
      15,
    )
  })

  test('a list of 100,000 items is refused by its length, wrong items or right ones', async () => {
    const keys = (length: number, key: string | null) => ({ keys: Array.from({ length }, () => key) })
    for (const key of ['A', null]) {
      assertLimit(await posted(UNSET, keys(100_000, key)), 'maxListItems', 10_000)
    }
    assert.equal((await posted(UNSET, keys(10_000, 'A'))).errors?.[0]?.extensions.code, 'NOT_FOUND')
    const query = `subscription($x:ID!){deploymentUpdated(id:$x){id}}`
    assertLimit(await subscribed(query, { x: [keys(11_000, 'A')] }), 'maxListItems', 10_000)
  })

  test('nothing of a request with too many mutations, of a batch or of a subscription by POST is begun', async () => {
    const create = 'createApp(input:{name:"flood",repoUrl:"https://git.invalid/a/b.git"}){id}'
    assertLimit(
      await posted(`mutation{${create} ${repeat(101, (n) => `a${n}:deleteApp(id:"x")`)}}`),
      'maxAliases',
      100,
    )
    const one = { query: `mutation{${create}}` }
    for (const body of [[one, one], { query: followed('id') }])
      assert.equal((await api.send(body)).status, 400)
    assert.deepEqual((await posted('{apps{totalCount}}')).data, { apps: { totalCount: 1 } })
  })

  test('a persisted query is looked at with the variables of each request', async () => {
    const query = 'query($n:Int!){apps(first:$n){nodes{deployments(first:$n){nodes{id}}}}}'
    const extensions = {
      persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') },
    }
    assert.equal((await api.send({ query, extensions, variables: { n: 1 } })).status, 200)
    assert.equal((await api.send({ extensions, variables: { n: 2 } })).status, 200)
    const refused = await api.send({ extensions, variables: { n: 200 } })
    assertLimit((await refused.json()) as Answer, 'maxCost', 50_000)
  })

  test('an argument without a value does not hide the cost of the others', async () => {
    const query = `query($n:Int){a:apps(first:$n){totalCount} ${ALL.slice(1)}`
    const { data, errors } = await posted(query, { n: null })
    assert.equal(data ?? null, null)
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
  })

  test('a list that is longer than its cost assumed is refused before its items are looked at', async () => {
    await process.database.query(
      `INSERT INTO stage (id, app_id, name) SELECT 's' || n, $1, 's' || n FROM generate_series(1, 400) n`,
      [ids.app],
    )
    assertLimit(await posted('{app(name:"shop"){stages{app{stages{id name}}}}}'), 'maxCost', 50_000)
    assertLimit(await subscribed(followed('app{stages{app{stages{id}}}}')), 'maxEventCost', 5_000)
    const few = await posted('{app(name:"shop"){stages{id name url}}}')
    assert.equal((few.data?.app as { stages: unknown[] }).stages.length, 401)
    await process.database.query(`DELETE FROM stage WHERE name LIKE 's%'`)
  })

  test('what the explorer, code generators and frontends ask is answered', async () => {
    const introspection = getIntrospectionQuery({
      ...{ specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true },
      ...{ inputValueDeprecation: true, oneOf: true },
    })
    const deployment = `id status commitSha commitMessage ref trigger url attempt createdAt queuePosition
      stage{id name} error{code phase message lastLines} events{at from to reason}`
    const queries = [
      introspection,
      '{apps{nodes{name url stage{current{id status liveAt}}}}}',
      '{apps(first:200){totalCount nodes{id name url deployments(first:1){nodes{id status}}} pageInfo{endCursor}}}',
      `{app(name:"shop"){deployments(first:200){nodes{${deployment}}}}}`,
      `{app(name:"shop"){id name stages{id name url limits{cpus} variables{key fingerprint} domains{host}
        current{${deployment}}} webhook{url deliveries{nodes{id decisions{stage reason}}}}}}`,
      `{deployment(id:"${ids.deployment}"){logs{events{seq at phase stream text end{lastSeq}} end{lastSeq}}}}`,
      `{deployment(id:"x"){${nested(6, 'stage{id}')}}}`,
      `{${repeat(100, (n) => `a${n}:__typename`)}}`,
    ]
    for (const query of queries) assert.equal((await posted(query)).errors, undefined, query.slice(0, 200))
    const event = await subscribed(
      followed(`${deployment} app{id name url stages{id name current{id status}}}`),
    )
    assert.equal(event.errors, undefined)
  })

  test('Apollo Client shows which limit it was', async () => {
    const socket = wsClient(api.port)
    const apollo = createApollo(api.port, socket)
    await assert.rejects(apollo.query({ query: gql(ALL) }), (error) => {
      assert.ok(CombinedGraphQLErrors.is(error))
      assert.deepEqual(error.errors[0]?.extensions?.limit, { name: 'maxCost', value: 50_000 })
      return true
    })
    await socket.dispose()
  })

  test('a hundred failures of one request, or of one event, are one line of the log', async () => {
    await process.database.query('ALTER TABLE commit_status_target RENAME TO lost')
    const failing = `commitStatus{forge} ${repeat(100, (n) => `a${n}:commitStatus{forge}`)}`
    const asked = [posted(`{app(name:"shop"){${failing}}}`), subscribed(followed(`app{${failing}}`))]
    for (const { errors } of await Promise.all(asked)) {
      assert.equal(errors?.length, 101)
      assert.deepEqual(errors.at(-1), {
        message: '1 more errors are not listed (maxErrors)',
        extensions: { code: 'INTERNAL_SERVER_ERROR', limit: { name: 'maxErrors', value: 100 } },
      })
    }
    assert.equal(api.logged.length, 2)
    await posted('{app(name:"shop"){commitStatus{forge}}}')
    assert.equal(api.logged.length, 3)
    await process.database.query('ALTER TABLE lost RENAME TO commit_status_target')
  })
})
