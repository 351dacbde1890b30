import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import {
  bitbucket,
  gitea,
  github,
  githubBody,
  gitlab,
  gitlabBody,
  gitlabSigned,
  sha,
} from '../support/forges.js'
import { Installation, until } from '../support/server.js'
import { HookedApp, send } from '../support/webhooks.js'

const MAIN = { ref: 'refs/heads/main', after: sha(2) }

describe('a webhook that strangers know', () => {
  let installation: Installation
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start({ ROLES: 'api' })
  })
  after(async () => {
    assert.equal(installation.processes[0]?.child.exitCode, null)
    await installation[Symbol.asyncDispose]()
  })

  const create = (name: string) => HookedApp.create(port, name, { branch: 'main' })
  const signed = (app: HookedApp, body: string | Buffer, type = 'application/json') => ({
    'x-github-event': 'push',
    'x-hub-signature-256': `sha256=${createHmac('sha256', app.secret).update(body).digest('hex')}`,
    'content-type': type,
  })

  test('answers an unknown app, one without a secret and a wrong signature the same', async () => {
    const app = await create('same')
    const delivery = github('whsec_wrong', githubBody(MAIN))
    const bare = await HookedApp.create(port, 'bare')
    await sql('DELETE FROM webhook WHERE app_id = $1', [bare.id])
    const answers = [await app.send(delivery), await bare.send(delivery)]
    for (const id of ['nobody', 'a%00b', '..%2f..', 'x'.repeat(99), "'--"]) {
      answers.push(await send(port, id, delivery.headers, delivery.body))
    }
    for (const { status, text } of answers) assert.deepEqual([status, text], [404, answers[0]?.text])
    const log = await until(async () => {
      const entries = await app.log()
      return entries.length > 0 ? entries : null
    })
    assert.deepEqual([log[0]?.verdict, log[0]?.deployments], ['REFUSED', []])
    assert.deepEqual(await bare.log(), [])
  })

  test('deploys nothing that is not signed, whatever forge it says it is from', async () => {
    const app = await create('unsigned')
    const wrong = 'whsec_d3Jvbmc='
    const deliveries = [
      github(wrong, githubBody(MAIN)),
      gitlab(wrong, gitlabBody(MAIN)),
      gitlabSigned(wrong, gitlabBody(MAIN)),
      gitlabSigned(app.secret, gitlabBody(MAIN), 1_614_265_330),
      gitea(wrong, MAIN),
      bitbucket(wrong, [MAIN]),
      { headers: { 'x-longshore-token': wrong }, body: githubBody(MAIN) },
      { headers: {}, body: githubBody(MAIN) },
    ]
    for (const delivery of deliveries) assert.equal((await app.send(delivery)).status, 404)
    const truncated = github(app.secret, githubBody(MAIN))
    assert.equal((await app.send({ ...truncated, body: truncated.body.slice(0, -1) })).status, 404)
    assert.deepEqual(await app.deployments(), [])
  })

  test('deploys once what is sent a thousand times, also under other ids and at once', async () => {
    const app = await create('replayed')
    const body = githubBody(MAIN)
    const delivery = github(app.secret, body)
    let answers: string[] = []
    for (let round = 0; round < 50; round++) {
      const sent = Array.from({ length: 20 }, (_, index) => {
        const id = index % 2 === 0 ? delivery : github(app.secret, body)
        return app.send(id)
      })
      answers = answers.concat(
        (await Promise.all(sent)).map(({ status, json }) => `${status} ${json.verdict}`),
      )
    }
    assert.equal(answers.filter((answer) => answer === '202 deployed').length, 1)
    assert.equal(answers.filter((answer) => answer === '202 duplicate').length, 999)
    assert.equal((await app.deployments()).length, 1)
    assert.equal((await app.log()).length, 1)
  })

  test('answers what is signed and makes no sense with 400, and writes it down', async () => {
    const app = await create('senseless')
    const bodies: [body: string | Buffer, type?: string][] = [
      [''],
      ['{'],
      ['[]'],
      ['"text"'],
      ['{"ref":{"a":1},"after":[]}'],
      [`{"ref":"refs/heads/main\\u0000","after":"${sha(2)}"}`],
      ['['.repeat(500_000)],
      [`${'{"a":'.repeat(150_000)}1${'}'.repeat(150_000)}`],
      [Buffer.from([0xff, 0xfe, 0x00])],
      ['payload=%7B', 'application/x-www-form-urlencoded'],
      ['other=1', 'application/x-www-form-urlencoded'],
      ['<xml/>', 'text/xml'],
    ]
    for (const [body, type] of bodies) {
      const { status, text } = await send(port, app.id, signed(app, body, type), body)
      assert.equal(status, 400, `${String(body).slice(0, 40)}: ${text}`)
    }
    const odd = JSON.stringify({ ...MAIN, repository: { default_branch: '\ud800\u0000' }, commits: 7 })
    assert.equal((await send(port, app.id, signed(app, odd, 'text/plain'), odd)).json.verdict, 'deployed')
    const kind = '{"object_kind":"\\u0000\\ud800"}'
    assert.equal((await app.send(gitlab(app.secret, kind))).json.verdict, 'ignored')
    const log = await app.log()
    assert.equal(log.filter(({ verdict }) => verdict === 'UNREADABLE').length, bodies.length)
    assert.equal((await app.deployments()).length, 1)
  })

  test('deploys thirty pushes in a minute, whatever other branches are pushed, and names the branch of the next', async () => {
    const app = await create('flooded')
    const other = await create('calm')
    const push = async (ref: string, after: number) => {
      const facts = { ref, before: sha(after - 1), after: sha(after) }
      return String((await app.send(github(app.secret, githubBody(facts)))).status)
    }
    const sent: string[] = []
    for (let index = 0; index < 35; index++) {
      sent.push(await push('refs/heads/main', index + 2), await push(`refs/heads/b${index}`, index + 2))
    }
    const [deployed, refused] = [
      ['202', '202'],
      ['429', '202'],
    ]
    assert.deepEqual(
      sent,
      [...Array<string[]>(30).fill(deployed), ...Array<string[]>(5).fill(refused)].flat(),
    )
    const log = (await app.log()).filter(({ verdict }) => verdict === 'RATE_LIMITED')
    assert.deepEqual(
      log.map(({ ref, commitSha }) => `${ref} ${commitSha}`),
      [36, 35, 34, 33, 32].map((last) => `refs/heads/main ${sha(last)}`),
    )
    assert.match(log[0]?.reason ?? '', /the branch is looked up in a minute/)
    assert.equal((await other.send(github(other.secret, githubBody(MAIN)))).status, 202)
  })

  test('writes down only some of many refusals', async () => {
    const app = await create('hammered')
    for (let index = 0; index < 40; index++) await app.send(github('wrong', githubBody(MAIN)))
    // Written after the answer: what is still to come is over the limit.
    await until(async () => (await app.log()).length >= 10)
    assert.ok((await app.log()).length < 20)
  })

  test('is gone with its app, and forgets after seven days', async () => {
    const app = await create('gone')
    const delivery = github(app.secret, githubBody(MAIN))
    await app.send(delivery)
    await sql(
      `UPDATE webhook_delivery SET received_at = now() - interval '7 days 1 minute' WHERE app_id = $1`,
      [app.id],
    )
    assert.equal((await app.send(delivery)).json.verdict, 'deployed')
    assert.equal((await app.log()).length, 1)
    await sql('UPDATE app SET deleted_at = now() WHERE id = $1', [app.id])
    assert.equal((await app.send(github(app.secret, githubBody(MAIN)))).status, 404)
  })

  async function sql(text: string, values: unknown[]): Promise<void> {
    const client = new pg.Client({ connectionString: installation.database.url })
    await client.connect()
    await client.query(text, values)
    await client.end()
  }
})
