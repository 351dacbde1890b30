import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { type ClientRequest, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { tryGraphql } from '../support/client.js'
import { gitea, github, githubBody, sha } from '../support/forges.js'
import { Installation, until } from '../support/server.js'
import { HookedApp, send } from '../support/webhooks.js'

const MAIN = { ref: 'refs/heads/main', after: sha(2) }
const MIB = 1024 * 1024

describe('a delivery that is large', () => {
  let installation: Installation
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start({ ROLES: 'api' })
  })
  after(() => installation[Symbol.asyncDispose]())

  const create = (name: string) => HookedApp.create(port, name, { branch: 'main' })
  const signed = (app: HookedApp, body: string | Buffer) => ({
    'x-github-event': 'push',
    'x-hub-signature-256': `sha256=${createHmac('sha256', app.secret).update(body).digest('hex')}`,
    'content-type': 'application/json',
  })

  test('is taken with 20,000 files, and refused over 25 MiB, which the log says', async () => {
    const app = await create('huge')
    const modified = Array.from(
      { length: 20_000 },
      (_, n) => `packages/package-${n}/src/index-of-the-package.ts`,
    )
    const push = githubBody({ ...MAIN, modified })
    assert.ok(push.length > MIB)
    assert.equal((await app.send(github(app.secret, push))).json.verdict, 'deployed')
    assert.equal((await app.send(github(app.secret, push))).json.verdict, 'duplicate')
    assert.equal(
      (await app.send(gitea(app.secret, { ...MAIN, after: sha(3), modified }))).json.verdict,
      'deployed',
    )
    const whole = Buffer.from(githubBody({ ...MAIN, after: sha(4) }).padEnd(25 * MIB, ' '))
    assert.equal((await send(port, app.id, signed(app, whole), whole)).status, 202)
    assert.equal((await app.deployments()).length, 3)
    for (const body of [push, `[${push}`]) {
      assert.equal((await app.send(github('whsec_wrong', body))).status, 404, 'a wrong signature')
      assert.equal((await send(port, 'nobody', github(app.secret, body).headers, body)).status, 404)
    }
    const nonsense = '['.repeat(2 * MIB)
    assert.equal((await send(port, app.id, signed(app, nonsense), nonsense)).status, 400)
    const { status, sentBytes } = await stream(port, `/hooks/${app.id}`, 100 * MIB)
    assert.ok(status === 413 || status === null, String(status))
    assert.ok(sentBytes < 100 * MIB, 'it was read to its end')
    const log = await until(async () => {
      const entries = await app.log()
      return entries.some(({ reason }) => reason === 'its body is over 25 MiB') ? entries : null
    })
    assert.deepEqual(log.map(({ verdict }) => verdict).sort(), [
      'DEPLOYED',
      'DEPLOYED',
      'DEPLOYED',
      'REFUSED',
      'REFUSED',
      'REFUSED',
      'UNREADABLE',
    ])
    const { id } = log.find(({ verdict }) => verdict === 'DEPLOYED') ?? {}
    const again = await tryGraphql(port, 'mutation ($id: ID!) { redeliver(deliveryId: $id) { id } }', { id })
    assert.match(again.errors?.[0]?.message ?? '', /the body of delivery .* is not kept/)
  })

  test('is held one at a time of an app, four in all, and not of an app that is not there', async () => {
    const apps = await Promise.all([1, 2, 3, 4, 5].map((n) => create(`crowded-${n}`)))
    const [first, , , , fifth] = apps as [HookedApp, HookedApp, HookedApp, HookedApp, HookedApp]
    const large = githubBody(MAIN).padEnd(2 * MIB, ' ')
    const push = (app: HookedApp) => app.send(github(app.secret, large))
    const strangers = Array.from({ length: 10 }, (_, n) => begin(port, `/hooks/nobody${n}`))
    const held: ClientRequest[] = []
    // Where another one had the place for a moment, it is taken again.
    const hold = (path: string) => {
      const sent = begin(port, path)
      held.push(sent)
      sent.once('response', ({ statusCode }) => statusCode === 503 && hold(path))
    }
    hold(`/hooks/${first.id}`)
    await until(async () => (await push(first)).status === 503)
    assert.equal((await push(fifth)).json.verdict, 'deployed', 'strangers take no place')
    for (const { id } of apps.slice(1, 4)) hold(`/hooks/${id}`)
    await until(async () => (await send(port, fifth.id, {}, large)).status === 503)
    const small = githubBody({ ...MAIN, before: sha(2), after: sha(3) })
    assert.equal((await fifth.send(github(fifth.secret, small))).json.verdict, 'deployed', 'small ones pass')
    await until(async () =>
      (await first.log()).some(({ reason }) => reason.startsWith('other large deliveries')),
    )
    for (const sent of [...held, ...strangers]) sent.destroy()
    await until(async () => (await push(first)).status === 202)
    const due = 'SELECT 1 FROM repository_lookup WHERE app_id = $1 AND due_at > now()'
    assert.equal((await rows(due, [first.id])).length, 1, 'what was refused is looked up')
  })

  async function rows(text: string, values: unknown[]): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: installation.database.url })
    await client.connect()
    const found = await client.query<Record<string, unknown>>(text, values)
    await client.end()
    return found.rows
  }
})

/** A request whose large body does not come to its end. */
function begin(port: number, path: string): ClientRequest {
  const headers = { 'x-github-event': 'push', 'content-length': 3 * MIB }
  const sent = request({ port, host: '127.0.0.1', path, method: 'POST', headers })
  sent.on('error', () => undefined)
  sent.write(Buffer.alloc(2 * MIB, 0x20))
  return sent
}

/** Sends bytes without a length until the server has had enough. */
function stream(
  port: number,
  path: string,
  bytes: number,
): Promise<{ status: number | null; sentBytes: number }> {
  return new Promise((resolve) => {
    let sentBytes = 0
    const piece = Buffer.alloc(MIB, 0x20)
    const sent = request({
      port,
      host: '127.0.0.1',
      path,
      method: 'POST',
      headers: { 'x-github-event': 'push' },
    })
    const end = (status: number | null) => {
      sent.destroy()
      resolve({ status, sentBytes })
    }
    sent.once('response', (answer) => end(answer.statusCode ?? null))
    sent.on('error', () => end(null))
    const more = () => {
      while (sentBytes < bytes && !sent.destroyed) {
        sentBytes += piece.length
        if (!sent.write(piece)) return void sent.once('drain', more)
      }
      sent.end()
    }
    more()
  })
}
