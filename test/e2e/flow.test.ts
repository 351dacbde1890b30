import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type ApolloClient, gql } from '@apollo/client'
import pg from 'pg'
import type { Client } from 'graphql-ws'
import { createApollo, followLog, followStatus } from '../support/apollo.js'
import { wsClient } from '../support/client.js'
import { inspectContainer } from '../support/docker.js'
import { slowStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const CREATE = gql`
  mutation Create($input: CreateAppInput!) {
    createApp(input: $input) {
      id
      url
      deployments(first: 1) {
        nodes {
          id
          status
        }
      }
    }
  }
`
const DEPLOY = gql`
  mutation Deploy($appId: ID!) {
    deploy(appId: $appId) {
      id
    }
  }
`
interface Created {
  createApp: { id: string; url: string; deployments: { nodes: { id: string; status: string }[] } }
}

/** The main job from beginning to end, the parts in the order in which a user comes to them. */
const STATUSES = ['CLONING', 'BUILDING', 'STARTING', 'ROUTING', 'RUNNING']

describe('from a Git URL to a running app, driven by Apollo Client', () => {
  let installation: Installation
  let repository: TestRepository
  let apollo: ApolloClient
  let socket: Client
  let appId = ''
  let first = ''
  let second = ''

  before(async () => {
    installation = await Installation.create()
    repository = new TestRepository(webApp('first page', [`${slowStep(1)}; echo begin; sleep 2`]))
    await installation.start()
    socket = wsClient(installation.port)
    apollo = createApollo(installation.port, socket)
  })

  after(async () => {
    apollo.stop()
    await socket.dispose()
    await installation[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  test('createApp answers at once with a deployment, and its log comes while it builds', async () => {
    const input = { name: 'shop', repoUrl: repository.url }
    const { data } = await apollo.mutate<Created>({ mutation: CREATE, variables: { input } })
    assert.ok(data)
    appId = data.createApp.id
    first = data.createApp.deployments.nodes[0]?.id ?? ''
    // A free worker may have claimed it before the answer was put together.
    assert.match(data.createApp.deployments.nodes[0]?.status ?? '', /^(PENDING|CLONING|BUILDING)$/)
    assert.equal(data.createApp.url, `http://shop.localhost:${installation.routerPort}`)

    const [statuses, log] = await Promise.all([followStatus(apollo, first), followLog(apollo, first)])
    // The first is what it was when the subscription began: none is skipped from there on.
    const seen = statuses.map((deployment) => deployment.status).filter((status) => status !== 'PENDING')
    assert.deepEqual(seen, STATUSES.slice(-seen.length))
    assert.ok(seen.length >= 3, seen.join())
    const running = statuses.at(-1)
    assert.equal(running?.container, `shop-${first}`)
    assert.equal(running.image, `mvp-shop:${first}`)
    assert.equal(running.port, 8080)
    assert.equal(running.commitSha, repository.git('rev-parse', 'HEAD'))

    assert.deepEqual(
      log.events.map((event) => event.seq),
      log.events.map((_event, index) => index + 1),
    )
    assert.equal(log.events.at(-1)?.end?.status, 'RUNNING')
    assert.deepEqual(
      log.events.slice(0, -1).filter((event) => event.end !== null),
      [],
    )
    const begin = log.events.findIndex((event) => event.text.includes('begin\n') && event.stream === 'STDOUT')
    const built = log.events.find((event) => event.text.startsWith('Built '))
    assert.ok(begin >= 0 && built)
    // Two steps of sleep lie between: the viewer had the line before the build went on.
    assert.ok((log.receivedAt[begin] ?? Infinity) < Date.parse(built.at) - 1_000)
  })

  test('the app answers at its host and at the deployment’s own', async () => {
    assert.deepEqual(await installation.fetch('shop.localhost'), { status: 200, body: 'first page' })
    assert.deepEqual(await installation.fetch(`shop-${first}.localhost`), { status: 200, body: 'first page' })
    const nobody = await installation.fetch('nobody.localhost')
    assert.equal(nobody.status, 404)
    assert.match(nobody.body, /No app here/)
  })

  test('the container carries the three labels of Traefik and no privileges', async () => {
    const name = `shop-${first}`
    const container = await inspectContainer<{
      Config: { Labels: Record<string, string> }
      HostConfig: Record<string, unknown>
    }>(name)
    assert.equal(container.Config.Labels['traefik.enable'], 'true')
    assert.equal(container.Config.Labels[`traefik.http.routers.${name}.rule`], `Host(\`${name}.localhost\`)`)
    assert.equal(container.Config.Labels[`traefik.http.services.${name}.loadbalancer.server.port`], '8080')
    assert.deepEqual(container.HostConfig.CapDrop, ['ALL'])
    assert.equal(container.HostConfig.Privileged, false)
    assert.deepEqual(container.HostConfig.RestartPolicy, { Name: 'unless-stopped', MaximumRetryCount: 0 })
  })

  test('a second deployment replaces the first without a failed request', async () => {
    repository.commit({ 'www/index.html': 'second page' })
    let failures = 0
    let asking = true
    const requests = (async () => {
      while (asking) {
        const answer = await installation.fetch('shop.localhost').catch(() => ({ status: 0, body: '' }))
        if (answer.status !== 200) failures += 1
      }
    })()
    try {
      const { data } = await apollo.mutate<{ deploy: { id: string } }>({
        mutation: DEPLOY,
        variables: { appId },
      })
      second = data?.deploy.id ?? ''
      const statuses = await followStatus(apollo, second)
      assert.equal(statuses.at(-1)?.status, 'RUNNING')
      assert.equal((await installation.fetch('shop.localhost')).body, 'second page')
      await until(async () => !(await installation.containers()).includes(`shop-${first}`))
    } finally {
      asking = false
      await requests
    }
    assert.equal(failures, 0)
    assert.equal((await followStatus(apollo, first)).at(-1)?.status, 'RETIRED')
  })

  test('deleteApp leaves no container, image, folder, mirror or row', async () => {
    const { data } = await apollo.mutate<{ deleteApp: boolean }>({
      mutation: gql`
        mutation Delete($id: ID!) {
          deleteApp(id: $id)
        }
      `,
      variables: { id: appId },
    })
    assert.equal(data?.deleteApp, true)
    assert.deepEqual([...(await installation.containers()), ...(await installation.images())], [])
    assert.deepEqual(
      readdirSync(join(installation.dataDir, 'mirrors')).filter((name) => name !== 'home'),
      [],
    )
    assert.deepEqual(await countRows(installation.database.url), {
      app: 0,
      stage: 0,
      deployment: 0,
      deployment_event: 0,
      log_stream: 0,
      log_chunk: 0,
    })
    assert.equal((await installation.fetch('shop.localhost')).status, 404)
  })
})

async function countRows(url: string): Promise<Record<string, number>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const tables = ['app', 'stage', 'deployment', 'deployment_event', 'log_stream', 'log_chunk']
    const counts: Record<string, number> = {}
    for (const table of tables) {
      const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM "${table}"`)
      counts[table] = Number(rows[0]?.count)
    }
    return counts
  } finally {
    await client.end()
  }
}
