import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openRepositoryCredential } from '../../src/engine/repositories/credential.js'
import { createKnownHosts, forgetHost } from '../../src/engine/repositories/known-hosts.js'
import type { ApiServer } from '../support/api-server.js'
import type { TestProcess } from '../support/engine.js'
import { useApi } from '../support/use-api.js'

const CREDENTIAL = 'repoUrl repositoryCredential { kind username publicKey createdAt updatedAt }'
const CREATE = `mutation ($input: CreateAppInput!) { createApp(input: $input) { id ${CREDENTIAL} } }`
const UPDATE = `mutation ($id: ID!, $input: UpdateAppInput!) { updateApp(id: $id, input: $input) { ${CREDENTIAL} } }`
const TOKEN = `mutation ($id: ID!, $token: String!, $username: String) {
  setRepositoryToken(appId: $id, token: $token, username: $username) { ${CREDENTIAL} } }`
const KEY = `mutation ($id: ID!) { createDeployKey(appId: $id) { ${CREDENTIAL} } }`
const REMOVE = `mutation ($id: ID!) { removeRepositoryCredential(appId: $id) { ${CREDENTIAL} } }`
const HTTPS = 'https://git.invalid/o/r.git'
const SSH = 'git@git.invalid:o/r.git'

interface Shown {
  readonly id: string
  readonly repoUrl: string
  readonly repositoryCredential: { kind: string; username: string | null; publicKey: string | null } | null
}

describe('the credential of a repository', () => {
  let process: TestProcess
  let api: ApiServer
  useApi((opened, used) => ([api, process] = [opened, used]))

  async function done(query: string, variables: object): Promise<Shown> {
    const { data, errors } = await api.post(query, variables)
    assert.equal(errors, undefined, JSON.stringify(errors))
    return Object.values(data ?? {})[0] as Shown
  }
  async function refused(
    query: string,
    variables: object,
  ): Promise<[code: string, field?: string, said?: string]> {
    const error = (await api.post(query, variables)).errors?.[0]
    return [error?.extensions.code ?? '', error?.extensions.field ?? '', error?.message]
  }
  const create = (name: string, repoUrl: string) => done(CREATE, { input: { name, repoUrl, deploy: false } })
  const opened = (id: string, repoUrl: string) =>
    openRepositoryCredential({ database: process.database, secrets: process.secrets }, id, repoUrl)

  test('is a token for https, sealed, shown without it, and replaced', async () => {
    const { id, repositoryCredential } = await create('by-token', HTTPS)
    assert.equal(repositoryCredential, null)
    const first = await done(TOKEN, { id, token: 'first-s3cret', username: 'me' })
    assert.deepEqual(
      [first.repositoryCredential?.kind, first.repositoryCredential?.username],
      ['TOKEN', 'me'],
    )
    await done(TOKEN, { id, token: 'other-s3cret' })
    assert.deepEqual(await opened(id, HTTPS), { kind: 'TOKEN', username: null, token: 'other-s3cret' })
    const rows = await process.database.query<unknown[]>('SELECT * FROM repository_credential')
    assert.equal(rows.length, 1)
    assert.doesNotMatch(JSON.stringify(rows), /s3cret/)
    assert.equal((await done(REMOVE, { id })).repositoryCredential, null)
    assert.equal(await opened(id, HTTPS), null)
  })

  test('is a key for ssh whose public half is shown', async () => {
    const { id } = await create('by-key', SSH)
    const shown = (await done(KEY, { id })).repositoryCredential
    assert.match(shown?.publicKey ?? '', /^ssh-ed25519 \S+ longshore-by-key$/)
    const credential = await opened(id, SSH)
    assert.ok(credential?.kind === 'DEPLOY_KEY' && credential.privateKey.includes('OPENSSH PRIVATE KEY'))
    assert.notEqual((await done(KEY, { id })).repositoryCredential?.publicKey, shown?.publicKey)
  })

  test('is refused where it does not fit the URL, or is none', async () => {
    const [https, ssh] = [await create('plain', HTTPS), await create('shell', SSH)]
    assert.match((await refused(KEY, { id: https.id })).join(), /^BAD_USER_INPUT,appId.*setRepositoryToken/)
    assert.match(
      (await refused(TOKEN, { id: ssh.id, token: 'x' })).join(),
      /^BAD_USER_INPUT,appId.*createDeployKey/,
    )
    const local = await create('local', 'file:///srv/repo')
    for (const query of [KEY, TOKEN])
      assert.equal(
        (await refused(query, { id: local.id, ...(query === TOKEN && { token: 'x' }) }))[1],
        'appId',
      )
    assert.equal((await refused(TOKEN, { id: https.id, token: '' }))[1], 'token')
    assert.equal((await refused(TOKEN, { id: https.id, token: 'a\nb' }))[1], 'token')
    assert.equal((await refused(TOKEN, { id: https.id, token: 'x', username: 'a:b' }))[1], 'username')
    for (const [query, more] of [
      [TOKEN, { token: 'x' }],
      [KEY, {}],
      [REMOVE, {}],
    ] as const)
      assert.deepEqual((await refused(query, { id: 'nobody', ...more })).slice(0, 2), ['NOT_FOUND', 'appId'])
  })

  test('is taken out of a URL that carries it, and the URL is stored without', async () => {
    const made = await create('pasted', 'https://me:pasted-s3cret@git.invalid/o/r.git')
    assert.equal(made.repoUrl, HTTPS)
    assert.equal(made.repositoryCredential?.username, 'me')
    assert.deepEqual(await opened(made.id, HTTPS), { kind: 'TOKEN', username: 'me', token: 'pasted-s3cret' })
    await done(UPDATE, { id: made.id, input: { repoUrl: 'https://newer-s3cret@git.invalid/o/other.git' } })
    const credential = await opened(made.id, HTTPS)
    assert.deepEqual(credential, { kind: 'TOKEN', username: null, token: 'newer-s3cret' })
    const stored = await process.database.query<unknown[]>('SELECT to_jsonb(a) FROM app a')
    assert.doesNotMatch(JSON.stringify(stored), /s3cret/)
    assert.equal(
      (await refused(UPDATE, { id: made.id, input: { repoUrl: 'https://a b@h/x' } }))[1],
      'repoUrl',
    )
  })

  test('stays with the host, and goes when the URL names another or another protocol', async () => {
    const { id } = await create('moving', 'https://t0ken-s3cret@git.invalid/o/r.git')
    const moved = async (repoUrl: string) =>
      (await done(UPDATE, { id, input: { repoUrl } })).repositoryCredential
    assert.equal((await moved('https://git.invalid:443/o/renamed.git'))?.kind, 'TOKEN')
    assert.equal(await opened(id, 'https://evil.invalid/o/r.git'), null)
    assert.equal(await opened(id, 'https://git.invalid:8443/o/r.git'), null)
    assert.equal(await moved('https://evil.invalid/o/r.git'), null)
    assert.equal(await moved(HTTPS), null)
    await done(UPDATE, { id, input: { repoUrl: SSH } })
    await done(KEY, { id })
    assert.equal((await moved('ssh://git@git.invalid/o/r.git'))?.kind, 'DEPLOY_KEY')
    assert.equal(await moved(HTTPS), null)
  })

  test('is a change of its app in the feed, and goes with the app', async () => {
    const { id } = await create('fed', HTTPS)
    const changes = async () => {
      const sql = `SELECT typename, node_id FROM change WHERE app_id = $1 AND event = 'UPDATED' AND typename = 'App'`
      return (await process.database.query<unknown[]>(sql, [id])).length
    }
    const before = await changes()
    await done(TOKEN, { id, token: 'x' })
    await done(REMOVE, { id })
    assert.equal(await changes(), before + 2)
    await done(TOKEN, { id, token: 'x' })
    await process.database.query('DELETE FROM app WHERE id = $1', [id])
    const rows = await process.database.query<unknown[]>(
      'SELECT 1 FROM repository_credential WHERE app_id = $1',
      [id],
    )
    assert.deepEqual(rows, [])
  })

  test('of an SSH host, its key: the first that a worker saw is kept, until it is forgotten', async () => {
    const hosts = createKnownHosts(process.database)
    const names = ['git.invalid', '[git.invalid]:2222', 'gitxinvalid']
    for (const name of names) assert.equal(await hosts.record(name, `first of ${name}`), `first of ${name}`)
    assert.equal(await hosts.record('git.invalid', 'other'), 'first of git.invalid')
    assert.deepEqual((await forgetHost(process.database, 'Git.invalid')).sort(), names.slice(0, 2).sort())
    assert.deepEqual(await Promise.all(names.map((name) => hosts.find(name))), [
      null,
      null,
      'first of gitxinvalid',
    ])
  })
})
