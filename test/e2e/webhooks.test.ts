import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { graphql, tryGraphql, updateStage } from '../support/client.js'
import {
  bitbucket,
  bitbucketServer,
  gitea,
  github,
  githubBody,
  githubForm,
  gitlab,
  gitlabBody,
  gitlabSigned,
  NONE,
  type PushFacts,
  sha,
} from '../support/forges.js'
import { Installation } from '../support/server.js'
import { HookedApp, rotate } from '../support/webhooks.js'

const MAIN: PushFacts = { ref: 'refs/heads/main', after: sha(2) }
const UPDATE =
  'mutation ($id: ID!, $input: UpdateAppInput!) { updateApp(id: $id, input: $input) { watchPaths } }'
const REDELIVER = `mutation ($id: ID!) {
  redeliver(deliveryId: $id) { verdict redeliveryOf deployments { id commitSha } }
}`

/** Commands and database of the API role; the deployments wait, as there is no worker. */
describe('a webhook', () => {
  let installation: Installation
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start({ ROLES: 'api', PUBLIC_URL: 'https://deploy.example.com/' })
  })
  after(() => installation[Symbol.asyncDispose]())

  const create = (name: string, input = {}) => HookedApp.create(port, name, { branch: 'main', ...input })
  const hub = (app: HookedApp, facts: Partial<PushFacts> = {}) =>
    app.send(github(app.secret, githubBody({ ...MAIN, ...facts })))

  describe('deploys the pushed commit', () => {
    const senders: [forge: string, make: (secret: string) => Parameters<HookedApp['send']>[0]][] = [
      ['GITHUB', (secret) => github(secret, githubBody(MAIN))],
      ['GITHUB', (secret) => githubForm(secret, githubBody(MAIN))],
      ['GITLAB', (secret) => gitlab(secret, gitlabBody(MAIN))],
      ['GITLAB', (secret) => gitlabSigned(secret, gitlabBody(MAIN))],
      ['GITEA', (secret) => gitea(secret, MAIN)],
      ['GITEA', (secret) => gitea(secret, MAIN, 'forgejo')],
      ['BITBUCKET', (secret) => bitbucket(secret, [MAIN])],
      ['BITBUCKET', (secret) => bitbucketServer(secret, MAIN)],
      [
        'GENERIC',
        (secret) => ({
          headers: { 'x-longshore-token': secret, 'content-type': 'application/json' },
          body: JSON.stringify({ ref: MAIN.ref, after: MAIN.after }),
        }),
      ],
    ]
    for (const [index, [forge, make]] of senders.entries()) {
      test(`of ${forge}, form ${index + 1}`, async () => {
        const app = await create(`forge-${index}`)
        const delivery = make(app.secret)
        const answer = await app.send(delivery)
        assert.equal(answer.status, 202, answer.text)
        assert.equal(answer.json.verdict, 'deployed')
        assert.deepEqual(await app.deployments(), [`production@main ${sha(2)}`])
        const [entry] = await app.log()
        assert.deepEqual([entry?.forge, entry?.verdict, entry?.ref], [forge, 'DEPLOYED', MAIN.ref])
        assert.deepEqual(
          entry?.deployments.map(({ id }) => id),
          answer.json.deployments,
        )
        const again = await app.send(delivery)
        assert.deepEqual([again.status, again.json.verdict], [202, 'duplicate'])
        assert.deepEqual(again.json.deployments, answer.json.deployments)
        assert.equal((await app.deployments()).length, 1)
      })
    }

    test('in each stage whose branch it is, and in no other', async () => {
      const app = await create('stages')
      for (const [name, branch] of [
        ['twin', 'main'],
        ['feature', 'feature/a/b'],
        ['part', 'b'],
      ] as const) {
        await app.stage(name, branch)
      }
      const tagged = await app.stage('releases')
      const update =
        'mutation ($id: ID!, $input: UpdateStageInput!) { updateStage(id: $id, input: $input) { tags } }'
      await graphql(port, update, { id: tagged, input: { tags: 'v*' } })
      await hub(app)
      assert.deepEqual((await app.deployments()).sort(), [`production@main ${sha(2)}`, `twin@main ${sha(2)}`])
      await hub(app, { ref: 'refs/heads/feature/a/b', after: sha(3) })
      await hub(app, { ref: 'refs/tags/v1.0', after: sha(4), message: 'Release [skip ci]' })
      await hub(app, { ref: 'refs/tags/nightly', after: sha(5) })
      assert.deepEqual((await app.deployments()).slice(0, 2), [
        `releases@v1.0 ${sha(4)}`,
        `feature@feature/a/b ${sha(3)}`,
      ])
      const [entry] = await app.log()
      assert.equal(entry?.verdict, 'IGNORED')
      const reasons = Object.fromEntries(entry.decisions.map(({ stage, reason }) => [stage, reason]))
      assert.match(reasons.releases ?? '', /follows tags v\*/)
      assert.match(reasons.production ?? '', /a tag was pushed/)
    })

    test('of several branches that Bitbucket tells of at once', async () => {
      const app = await create('several')
      await app.stage('next', 'next')
      await app.send(bitbucket(app.secret, [MAIN, { ref: 'refs/heads/next', after: sha(3) }]))
      assert.deepEqual((await app.deployments()).sort(), [`next@next ${sha(3)}`, `production@main ${sha(2)}`])
    })

    test('once, where two deliveries bring the same commit while it waits', async () => {
      const app = await create('same')
      const [one, two] = [await hub(app), await hub(app)]
      assert.deepEqual(one.json.deployments, two.json.deployments)
      assert.equal(two.json.verdict, 'deployed')
      assert.equal((await app.deployments()).length, 1)
    })
  })

  describe('deploys nothing', () => {
    test('where it is told so, and the log says why', async () => {
      const app = await create('ignoring', { watchPaths: ['apps/web/**', '!**/*.md'] })
      const cases: [facts: Partial<PushFacts>, reason: RegExp][] = [
        [{ ref: 'refs/heads/other' }, /follows the branch main/],
        [{ ref: 'refs/heads/feature/main' }, /follows the branch main/],
        [{ ref: 'refs/tags/main' }, /a tag was pushed/],
        [{ after: NONE }, /deleted/],
        [{ message: 'Typo [skip ci]', modified: ['apps/web/a.ts'] }, /\[skip ci\]/],
        [{ modified: ['apps/api/a.ts', 'apps/web/README.md'] }, /watched paths/],
      ]
      for (const [facts, reason] of cases) {
        const answer = await hub(app, facts)
        assert.deepEqual([answer.status, answer.json.verdict], [202, 'ignored'])
        assert.match(answer.json.reason ?? '', reason)
        assert.match((await app.log())[0]?.reason ?? '', reason)
      }
      await updateStage(port, app.id, { autoDeploy: false })
      assert.match((await hub(app, { modified: ['apps/web/a.ts'] })).json.reason ?? '', /autoDeploy/)
      assert.deepEqual(await app.deployments(), [])
    })

    test('on a ping, which is answered', async () => {
      const app = await create('ping')
      const ping = await app.send(github(app.secret, '{"zen":"Design for failure.","hook_id":1}', 'ping'))
      assert.deepEqual([ping.status, ping.json.verdict], [202, 'pong'])
      const star = await app.send(github(app.secret, '{"action":"created"}', 'star'))
      assert.deepEqual([star.status, star.json.verdict], [202, 'ignored'])
      assert.deepEqual(await app.deployments(), [])
    })

    test('that came too late: a later push of the branch was there before it', async () => {
      const app = await create('late')
      await hub(app, { before: sha(2), after: sha(3) })
      const late = await hub(app, { before: sha(1), after: sha(2) })
      assert.match(late.json.reason ?? '', /a later push/)
      assert.deepEqual(await app.deployments(), [`production@main ${sha(3)}`])
      // Set back on purpose, it goes on from what is there.
      const back = await hub(app, { before: sha(3), after: sha(2), forced: true })
      assert.equal(back.json.verdict, 'deployed')
      const forth = await hub(app, { before: sha(2), after: sha(3) })
      assert.equal(forth.json.verdict, 'deployed')
      const asked = await graphql<{ redeliver: { verdict: string } }>(port, REDELIVER, {
        id: late.json.delivery,
      })
      assert.equal(asked.redeliver.verdict, 'DEPLOYED')
    })
  })

  test('can be decided once more, as things are then', async () => {
    const app = await create('again', { watchPaths: ['apps/**'] })
    const { json } = await hub(app)
    assert.equal(json.verdict, 'ignored')
    await graphql(port, UPDATE, { id: app.id, input: { watchPaths: [] } })
    const found = await graphql<{
      redeliver: { verdict: string; redeliveryOf: string; deployments: { commitSha: string }[] }
    }>(port, REDELIVER, { id: json.delivery })
    assert.equal(found.redeliver.redeliveryOf, json.delivery)
    assert.deepEqual(
      found.redeliver.deployments.map(({ commitSha }) => commitSha),
      [sha(2)],
    )
    const unknown = await tryGraphql(port, REDELIVER, { id: 'nobody' })
    assert.equal(unknown.errors?.[0]?.extensions.code, 'NOT_FOUND')
    const ping = await app.send(github(app.secret, '{"zen":"x"}', 'ping'))
    const bodiless = await tryGraphql(port, REDELIVER, { id: ping.json.delivery })
    assert.equal(bodiless.errors?.[0]?.extensions.code, 'CONFLICT')
  })

  test('has a secret that is shown once, and another one after it was rotated', async () => {
    const app = await create('rotated')
    assert.equal(app.url, `https://deploy.example.com/hooks/${app.id}`)
    assert.match(app.secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
    const old = github(app.secret, githubBody(MAIN))
    const { secret } = await rotate(port, app.id)
    assert.notEqual(secret, app.secret)
    assert.equal((await app.send(old)).status, 404)
    assert.equal((await app.send(github(secret, githubBody(MAIN)))).status, 202)
    const shown = await graphql(
      port,
      'query ($id: ID!) { app(id: $id) { webhook { url enabled rotatedAt } } }',
      {
        id: app.id,
      },
    )
    assert.match(JSON.stringify(shown), /"enabled":true/)
    assert.doesNotMatch(JSON.stringify(shown), /whsec_/)
    const unknown = await tryGraphql(port, 'mutation { rotateWebhookSecret(appId: "nobody") { url } }')
    assert.equal(unknown.errors?.[0]?.extensions.code, 'NOT_FOUND')
  })

  test('lists its deliveries in pages that meet, newest first', async () => {
    const app = await create('paged')
    for (let index = 0; index < 5; index++) await hub(app, { ref: `refs/heads/b${index}` })
    const query = `query ($id: ID!, $after: String) { app(id: $id) { webhook {
      deliveries(first: 2, after: $after) { nodes { ref } pageInfo { endCursor hasNextPage } totalCount } } } }`
    interface Found {
      app: {
        webhook: {
          deliveries: {
            nodes: { ref: string }[]
            pageInfo: { endCursor: string | null; hasNextPage: boolean }
            totalCount: number
          }
        }
      }
    }
    const refs: string[] = []
    let cursor: string | null = null
    do {
      const found: Found = await graphql<Found>(port, query, { id: app.id, after: cursor })
      const page = found.app.webhook.deliveries
      assert.equal(page.totalCount, 5)
      refs.push(...page.nodes.map(({ ref }) => ref))
      cursor = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null
    } while (cursor !== null)
    assert.deepEqual(
      refs,
      [4, 3, 2, 1, 0].map((index) => `refs/heads/b${index}`),
    )
  })

  test('takes watched paths that are globs only', async () => {
    const app = await create('globs')
    const { errors } = await tryGraphql(port, UPDATE, { id: app.id, input: { watchPaths: ['a', '{b,c}'] } })
    const { code, field } = errors?.[0]?.extensions ?? {}
    assert.deepEqual([code, field], ['BAD_USER_INPUT', 'watchPaths[1]'])
  })
})
