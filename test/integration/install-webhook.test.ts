import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ForgeClient } from '../../src/engine/forges/forge-client.js'
import { RefsAnswerer } from '../../src/engine/repositories/refs-answerer.js'
import { webhookSecretAad } from '../../src/engine/secrets/aad.js'
import { createLogger } from '../../src/logger.js'
import type { ApiServer } from '../support/api-server.js'
import { makeCertificates, missingOpenssl } from '../support/certificates.js'
import { tryGraphql } from '../support/client.js'
import { COMMAND_SETTINGS, type TestProcess } from '../support/engine.js'
import { HooksServer } from '../support/hooks-server.js'
import { useApi } from '../support/use-api.js'

const INSTALL = `mutation ($appId: ID!, $forge: Forge!, $apiUrl: String) {
  installWebhook(appId: $appId, forge: $forge, apiUrl: $apiUrl) { webhook { enabled } } }`

/** Against a server with TLS of a private CA that answers as the three forges do. */
describe('the webhook of an app, created at its forge by a worker', { skip: missingOpenssl() }, () => {
  let process: TestProcess
  let api: ApiServer
  let server: HooksServer
  let forges: ForgeClient
  let answerer: RefsAnswerer
  let appId: string
  const folder = mkdtempSync(join(tmpdir(), 'longshore-hooks-'))
  useApi((opened, used) => ([api, process] = [opened, used]))

  before(async () => {
    makeCertificates(folder)
    const read = (name: string) => readFileSync(join(folder, name))
    server = await HooksServer.start({ cert: read('server.pem'), key: read('server.key') })
    forges = new ForgeClient(read('ca.pem').toString(), {})
    const { database, wakeups, secrets } = process
    const services = { database, wakeups, secrets, settings: COMMAND_SETTINGS as never, git: {} as never }
    answerer = new RefsAnswerer({ ...services, forges, logger: createLogger('error') }, 'a-worker')
    answerer.start()
    const repoUrl = `${server.url}/you/shop.git`
    ;({ id: appId } = await process.commands.apps.create({ name: 'shop', repoUrl, deploy: false }))
  })
  after(async () => {
    await answerer[Symbol.asyncDispose]()
    forges[Symbol.dispose]()
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })
  beforeEach(async () => {
    server.asked.length = server.hooks.length = 0
    server.refuses = false
    await process.commands.repositoryCredentials.setToken(appId, { username: null, token: 'right' })
  })

  const url = () => `${COMMAND_SETTINGS.publicUrl}/hooks/${appId}`
  async function secretOf(): Promise<string> {
    const sql = 'SELECT secret_encrypted AS sealed FROM webhook WHERE app_id = $1'
    const [row] = await process.database.query<{ sealed: string }[]>(sql, [appId])
    return process.secrets.decrypt(row?.sealed ?? '', webhookSecretAad(appId))
  }
  async function refusal(variables: object): Promise<{ code: string; field?: string; message: string }> {
    const { errors } = await tryGraphql(api.port, INSTALL, { appId, forge: 'GITHUB', ...variables })
    const [error] = errors ?? []
    return { message: error?.message ?? '', ...(error?.extensions as { code: string; field?: string }) }
  }

  const forgeNames = ['GITHUB', 'GITLAB', 'GITEA'] as const
  for (const forge of forgeNames) {
    test(`is created at ${forge}, and updated the next time`, async () => {
      server.hooks.push({ id: 7, url: 'https://x.test/a', config: { url: 'https://x.test/a' } })
      const done = await tryGraphql(api.port, INSTALL, { appId, forge })
      assert.deepEqual(done.data, { installWebhook: { webhook: { enabled: true } } })
      const secret = await secretOf()
      const config = { url: url(), content_type: 'json', secret }
      const bodies = {
        GITHUB: { name: 'web', active: true, events: ['push'], config: { ...config, insecure_ssl: '0' } },
        GITLAB: {
          url: url(),
          token: secret,
          push_events: true,
          tag_push_events: true,
          enable_ssl_verification: true,
        },
        GITEA: { type: 'gitea', active: true, events: ['push'], config },
      }
      const created = server.asked.at(-1)
      assert.deepEqual([created?.method, created?.body], ['POST', bodies[forge]])
      assert.equal(created?.headers['content-type'], 'application/json')

      await tryGraphql(api.port, INSTALL, { appId, forge })
      const updated = server.asked.at(-1)
      const method = forge === 'GITLAB' ? 'PUT' : 'PATCH'
      assert.deepEqual([updated?.method, updated?.body], [method, bodies[forge]])
      assert.deepEqual(
        server.hooks.map(({ id }) => id),
        [7, 101],
      )
    })
  }

  test('that the forge refuses is said with what the token needs, and without the token', async () => {
    const cases: [token: string, forge: string, said: RegExp][] = [
      ['wrong', 'GITLAB', /answered 401: the token may not.* scope api and the role Maintainer/],
      ['weak', 'GITHUB', /answered 403: .*Webhooks: read and write/],
      ['blind', 'GITEA', /answered 404: there is no you\/shop.*write:repository/],
    ]
    for (const [token, forge, said] of cases) {
      await process.commands.repositoryCredentials.setToken(appId, { username: null, token })
      const { code, message } = await refusal({ forge })
      assert.equal(code, 'FORGE_ERROR')
      assert.match(message, said)
    }
    await process.commands.repositoryCredentials.setToken(appId, { username: null, token: 'right' })
    server.refuses = true
    const { code, message } = await refusal({})
    assert.equal(code, 'FORGE_ERROR')
    assert.match(message, /answered 422: Validation Failed for \*\*\* .*Hook limit/)
    assert.doesNotMatch(message, /right|whsec_/)
  })

  test('is asked for with a token, which goes to the host of the repository alone', async () => {
    const elsewhere = await refusal({ apiUrl: 'https://evil.test/api/v3' })
    assert.deepEqual([elsewhere.code, elsewhere.field], ['BAD_USER_INPUT', 'apiUrl'])
    assert.equal((await refusal({ forge: 'BITBUCKET' })).field, 'forge')
    await process.commands.repositoryCredentials.createDeployKey(appId).catch(() => undefined)
    await process.commands.repositoryCredentials.remove(appId)
    const without = await refusal({})
    assert.deepEqual([without.code, without.field], ['BAD_USER_INPUT', 'appId'])
    assert.match(without.message, /setRepositoryToken/)
    assert.deepEqual(server.asked, [])
  })
})
