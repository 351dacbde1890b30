import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { bitbucket, type Delivery, NONE, type PushFacts, sha } from '../support/forges.js'

const main = (from: number, to: number): PushFacts => ({
  ref: 'refs/heads/main',
  before: from === 0 ? NONE : sha(from),
  after: to === 0 ? NONE : sha(to),
})

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

  test('ends the oldest of too many that wait, and never the last push', async () => {
    const app = await create()
    for (let n = 0; n < 24; n++) await api.commands.deployments.deploy(app.id, {})
    for (let n = 1; n <= 3; n++) assert.equal(await app.push(main(n, n + 1)), 'DEPLOYED')
    await assert.rejects(api.commands.deployments.deploy(app.id, {}), /25 deployments of this stage wait/)
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
})
