import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { cleanDeliveries } from '../../src/engine/webhooks/delivery-log.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import {
  bitbucket,
  type Delivery,
  gitea,
  giteaForm,
  github,
  gitlab,
  gitlabBody,
  NONE,
  type PushFacts,
  sha,
} from '../support/forges.js'

const main = (from: number, to: number): PushFacts => ({
  ref: 'refs/heads/main',
  before: from === 0 ? NONE : sha(from),
  after: to === 0 ? NONE : sha(to),
})
const next = (from: number, to: number): PushFacts => ({ ...main(from, to), ref: 'refs/heads/next' })

/** Bitbucket's pushes name several branches at once, and two of them may have the same body. */
describe('what is remembered of pushes', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let api: TestProcess
  let count = 0

  before(async () => {
    opened = await openProcesses(1)
    api = opened.processes[0] as TestProcess
  })
  after(() => opened[Symbol.asyncDispose]())

  async function create() {
    const { apps, webhooks } = api.commands
    const input = { name: `hooked-${count++}`, repoUrl: 'https://git.invalid/x.git', branch: 'main' }
    const { id } = await apps.create({ ...input, deploy: false })
    const secret = await webhooks.rotate(id)
    const send = async ({ headers, body }: Delivery) => {
      const receipt = await webhooks.receive(id, headers, Buffer.from(body))
      if (receipt.kind === 'received') return receipt.delivery.verdict
      return receipt.kind
    }
    return { id, send, push: (...pushes: PushFacts[]) => send(bitbucket(secret, pushes)), secret }
  }

  const rows = <T>(sql: string, ...values: unknown[]) => api.database.query<T[]>(sql, values)
  const commitsOf = async (appId: string) => {
    const sql = 'SELECT commit_sha AS sha FROM deployment WHERE app_id = $1 ORDER BY generation'
    return (await rows<{ sha: string }>(sql, appId)).map((row) => row.sha)
  }

  /** A branch is set back, and the same commit is pushed once more; each push counts once. */
  async function goesBackAndForth(appId: string, push: (facts: PushFacts) => Promise<string>): Promise<void> {
    for (const facts of [main(1, 2), main(2, 1), main(1, 2)]) {
      assert.equal(await push(facts), 'DEPLOYED')
      assert.equal(await push(facts), 'duplicate')
    }
    assert.deepEqual(await commitsOf(appId), [sha(2), sha(1), sha(2)])
  }

  test('is the order of each branch that a delivery names', async () => {
    const app = await create()
    await api.commands.stages.create(app.id, 'next', 'next')
    assert.equal(await app.push(main(1, 2), next(12, 13)), 'DEPLOYED')
    assert.equal(await app.push(next(11, 12)), 'IGNORED')
    assert.equal(await app.push(main(2, 3), next(10, 11)), 'DEPLOYED')
    assert.deepEqual((await commitsOf(app.id)).sort(), [sha(2), sha(13), sha(3)].sort())
  })

  test('says nothing of a push that does not say where its branch was', async () => {
    const app = await create()
    const push = (body: object) =>
      app.send({ headers: { 'x-longshore-token': app.secret }, body: JSON.stringify(body) })
    assert.equal(await push(main(2, 3)), 'DEPLOYED')
    assert.equal(await push(main(1, 2)), 'IGNORED')
    assert.equal(await push(main(0, 2)), 'IGNORED')
    assert.equal(await push({ ref: 'refs/heads/main', after: sha(2) }), 'DEPLOYED')
  })

  test('does not keep back a push that only one which was not deployed had overtaken', async () => {
    const app = await create()
    assert.equal(await app.push({ ...main(2, 3), message: 'Words [skip ci]' }), 'IGNORED')
    assert.equal(await app.push(main(1, 2)), 'DEPLOYED')
    // Gitea's test delivery names one commit twice.
    assert.equal(await app.send(gitea(app.secret, main(5, 5))), 'IGNORED')
    assert.equal(await app.send(gitea(app.secret, main(4, 5))), 'DEPLOYED')
    assert.deepEqual(await commitsOf(app.id), [sha(2), sha(5)])
  })

  test('keeps a push back in the stages alone that have deployed what overtook it', async () => {
    const app = await create()
    const { id } = await api.commands.stages.create(app.id, 'next', 'main')
    await api.commands.stageSettings.update(id, { autoDeploy: false })
    assert.equal(await app.push(main(2, 3)), 'DEPLOYED')
    await api.commands.stageSettings.update(id, { autoDeploy: true })
    assert.equal(await app.push(main(1, 2)), 'DEPLOYED')
    assert.deepEqual(await commitsOf(app.id), [sha(3), sha(2)])
  })

  test('lets a branch be set back although a push between was lost', async () => {
    const app = await create()
    assert.equal(await app.push(main(0, 1)), 'DEPLOYED')
    assert.equal(await app.push(main(1, 2)), 'DEPLOYED')
    assert.equal(await app.push(main(3, 1)), 'DEPLOYED')
    assert.deepEqual(await commitsOf(app.id), [sha(1), sha(2), sha(1)])
  })

  test('lets a push of a GitLab that names no delivery come again after the branch was set back', async () => {
    const app = await create()
    const push = (facts: PushFacts) => {
      const { headers, body } = gitlab(app.secret, gitlabBody(facts))
      const { 'idempotency-key': _key, 'webhook-id': _id, ...old } = headers as Record<string, string>
      return app.send({ headers: old, body })
    }
    await goesBackAndForth(app.id, push)
  })

  test('takes a form of Gitea, which signs the JSON in it, and takes it once however it is written', async () => {
    const app = await create()
    const form = giteaForm(app.secret, main(1, 2))
    assert.equal(await app.send(form), 'DEPLOYED')
    const otherwise = { ...form.headers, 'x-gitea-delivery': 'another' }
    assert.equal(await app.send({ headers: otherwise, body: `x=1&${form.body}` }), 'duplicate')
    assert.equal(await app.send({ ...form, body: form.body.replace('README', 'LICENSE') }), 'refused')
  })

  test('lets the same commit be pushed again after the branch was set back', async () => {
    const app = await create()
    await goesBackAndForth(app.id, app.push)
  })

  test('lets no old push be sent again under another id', async () => {
    const app = await create()
    const pushes = [main(0, 1), main(1, 2), main(2, 3), main(3, 0), main(0, 4), main(4, 5)]
    for (const one of pushes) await app.push(one)
    for (const one of [...pushes, ...pushes]) assert.equal(await app.push(one), 'duplicate')
    // Of one whose body names a branch that stands there again beside one that does not.
    assert.equal(await app.push(next(1, 2), main(5, 6)), 'DEPLOYED')
    assert.equal(await app.push(next(2, 1)), 'IGNORED')
    assert.equal(await app.push(next(1, 2), main(5, 6)), 'duplicate')
    assert.equal((await commitsOf(app.id)).at(-1), sha(6))
  })

  test('is known for seven days, to the last hour', async () => {
    const app = await create()
    assert.equal(await app.push(main(1, 2)), 'DEPLOYED')
    const aged = (age: string) =>
      rows(`UPDATE webhook_delivery SET received_at = now() - $2::interval WHERE app_id = $1`, app.id, age)
    await aged('6 days 23 hours')
    await cleanDeliveries(api.database)
    assert.equal(await app.push(main(1, 2)), 'duplicate')
    await aged('7 days 1 hour')
    assert.equal(await app.push(main(1, 2)), 'DEPLOYED')
  })

  test('is no ping: each forge that sends one is answered, and nothing is deployed', async () => {
    const app = await create()
    const { headers, body } = bitbucket(app.secret, [])
    const pings: Delivery[] = [
      github(app.secret, '{"zen":"Design for failure.","hook_id":1}', 'ping'),
      { headers: { ...headers, 'x-event-key': 'diagnostics:ping' }, body },
      { headers: { 'x-longshore-token': app.secret }, body: '{"event":"ping"}' },
    ]
    for (const ping of pings) assert.equal(await app.send(ping), 'PONG', JSON.stringify(ping.headers))
    assert.deepEqual(await commitsOf(app.id), [])
  })

  test('ends the oldest of too many that wait, and never the last push', async () => {
    const app = await create()
    for (let n = 0; n < 24; n++) await api.commands.deployments.deploy(app.id, {})
    for (let n = 1; n <= 3; n++) assert.equal(await app.push(main(n, n + 1)), 'DEPLOYED')
    await assert.rejects(
      api.commands.deployments.deploy(app.id, {}),
      /25 deployments of this stage are already waiting/,
    )
    const sql = `SELECT d.id, d.status, d.superseded_by, d.finished_at IS NOT NULL AS finished, l.end_status
                   FROM deployment d JOIN log_stream l ON l.deployment_id = d.id
                  WHERE d.app_id = $1 ORDER BY d.generation`
    const found = await rows<{ id: string; status: string; superseded_by: string | null }>(sql, app.id)
    const byStatus = (status: string) => found.filter((row) => row.status === status)
    assert.equal(byStatus('PENDING').length, 25)
    assert.deepEqual(byStatus('SUPERSEDED'), found.slice(0, 2))
    const ended = { status: 'SUPERSEDED', finished: true, end_status: 'SUPERSEDED' }
    const newer = found.slice(-2).map(({ id }) => id)
    assert.deepEqual(
      found.slice(0, 2),
      found.slice(0, 2).map(({ id }, index) => ({ ...ended, id, superseded_by: newer[index] })),
    )
    assert.equal((await commitsOf(app.id)).at(-1), sha(4))
  })

  test('outlives any number of refused requests', async () => {
    const app = await create()
    assert.equal(await app.push(main(1, 2)), 'DEPLOYED')
    await rows(
      `INSERT INTO webhook_delivery (id, app_id, forge, event, verdict, reason, decisions, content_type)
       SELECT 'r' || n, $1, 'GITHUB', 'push', CASE n % 2 WHEN 0 THEN 'REFUSED' ELSE 'RATE_LIMITED' END, '', '[]', ''
         FROM generate_series(1, 12000) n`,
      app.id,
    )
    await cleanDeliveries(api.database)
    const sql =
      'SELECT verdict, count(*)::int AS n FROM webhook_delivery WHERE app_id = $1 GROUP BY 1 ORDER BY 1'
    const left = await rows<{ verdict: string; n: number }>(sql, app.id)
    assert.deepEqual(Object.fromEntries(left.map(({ verdict, n }) => [verdict, n])), {
      DEPLOYED: 1,
      RATE_LIMITED: 500,
      REFUSED: 500,
    })
    assert.equal(await app.push(main(1, 2)), 'duplicate')
  })
})
