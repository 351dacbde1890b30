import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { makeCertificates, missingOpenssl } from '../support/certificates.js'
import { createApp, deploy, graphql, readDeployment, tryGraphql } from '../support/client.js'
import { ConnectProxy } from '../support/connect-proxy.js'
import { ForgeServer } from '../support/forge-server.js'
import { TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const SET = `mutation ($appId: ID!, $forge: Forge!, $token: String!, $apiUrl: String, $repository: String) {
  setCommitStatus(appId: $appId, forge: $forge, token: $token, apiUrl: $apiUrl, repository: $repository) {
    commitStatus { forge apiUrl repository fingerprint error }
  }
}`
const READ = 'query ($id: ID!) { app(id: $id) { commitStatus { forge repository fingerprint error } } }'

/** The whole, against a server that takes statuses as the forges' APIs do. */
describe('the status of a commit', () => {
  let installation: Installation
  let repository: TestRepository
  let forge: ForgeServer
  let proxy: ConnectProxy
  let certificates: string
  let appId = ''

  before(async () => {
    installation = await Installation.create()
    repository = new TestRepository(webApp('first'))
    forge = await ForgeServer.start()
    certificates = mkdtempSync(join(tmpdir(), 'longshore-certificates-'))
    proxy = await ConnectProxy.start()
    const isSigned = missingOpenssl() === false
    if (isSigned) makeCertificates(certificates)
    const GIT_CA_FILE = isSigned ? join(certificates, 'ca.pem') : ''
    await installation.start({ ALLOW_INSECURE_FORGES: 'true', GIT_CA_FILE, HTTPS_PROXY: proxy.url })
    ;({ appId } = await createApp(installation.port, {
      name: 'told',
      repoUrl: repository.url,
      deploy: false,
    }))
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    await forge[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    rmSync(certificates, { recursive: true })
    repository[Symbol.dispose]()
  })

  const set = (forgeName: string, token = 'right', at = forge) =>
    graphql(installation.port, SET, {
      appId,
      forge: forgeName,
      token,
      apiUrl: `${at.url}/${forgeName.toLowerCase()}`,
      repository: forgeName === 'GITLAB' ? 'group/sub/shop' : 'octo-org/shop',
    })

  async function settled(id: string): Promise<string> {
    return until(async () => {
      const { status } = await readDeployment(installation.port, id)
      return ['RUNNING', 'FAILED'].includes(status) ? status : null
    })
  }

  /** Commits, deploys that, and gives the commit when it has settled. */
  async function deployed(text: string, files = {}, end = 'RUNNING'): Promise<string> {
    const sha = repository.commit({ ...webApp(text), ...files })
    assert.equal(await settled(await deploy(installation.port, appId, { ref: sha })), end)
    return sha
  }
  const told = (sha: string, last: string) => until(() => forge.statesOf(sha).at(-1) === last)

  const forges: [name: string, path: string, success: string, failure: string][] = [
    ['GITHUB', '/github/repos/octo-org/shop/statuses/', 'success', 'failure'],
    ['GITLAB', '/gitlab/projects/group%2Fsub%2Fshop/statuses/', 'success', 'failed'],
    ['GITEA', '/gitea/repos/octo-org/shop/statuses/', 'success', 'failure'],
  ]
  for (const [name, path, success, failure] of forges) {
    test(`is told ${name}, from pending to ${success} or ${failure}`, async () => {
      await set(name)
      const good = await deployed(`${name} page`)
      await told(good, success)
      const states = forge.statesOf(good)
      assert.equal(new Set(states).size, states.length, 'each state once')
      assert.ok(states.every((state) => ['pending', success].includes(state)))
      const last = forge.told.at(-1)
      assert.equal(last?.path, `${path}${good}`)
      assert.equal(last.body.target_url, `http://told.localhost:${installation.routerPort}`)
      assert.equal(last.body.context ?? last.body.name, 'longshore/told/production')
      const bad = await deployed('bad', webApp('bad', ['exit 1']), 'FAILED')
      await told(bad, failure)
    })
  }

  test('is told a forge with a private CA, through a proxy', { skip: missingOpenssl() }, async () => {
    const [cert, key] = ['pem', 'key'].map((type) => readFileSync(join(certificates, `server.${type}`)))
    await using secure = await ForgeServer.start({ cert, key })
    await set('GITEA', 'right', secure)
    const sha = await deployed('through a proxy')
    await until(() => secure.statesOf(sha).at(-1) === 'success')
    assert.ok(proxy.asked.length > 0)
    assert.ok(proxy.asked.every((asked) => asked === `CONNECT ${new URL(secure.url).host}`))
    assert.ok(!Buffer.concat(proxy.seen).includes('right'))
  })

  test('is told again where the forge fails, and once it takes it no more', async () => {
    await set('GITHUB')
    forge.next.push(
      (response) => response.writeHead(502).end(),
      (response) => void response.destroy(),
    )
    const sha = await deployed('again')
    await told(sha, 'success')
    const asked = forge.asked
    await deployed('again, and another').then((another) => told(another, 'success'))
    assert.equal(forge.statesOf(sha).filter((state) => state === 'success').length, 1)
    assert.ok(forge.asked > asked)
  })

  test('that the forge refuses is said in the API and changes no deployment', async () => {
    await set('GITHUB', 'wrong')
    const sha = await deployed('refused')
    const shown = await until(async () => {
      const { app } = await graphql<{ app: { commitStatus: { error: string | null } } }>(
        installation.port,
        READ,
        {
          id: appId,
        },
      )
      return app.commitStatus.error
    })
    assert.match(shown, /answered 401.*token/)
    assert.deepEqual(forge.statesOf(sha), [])
    assert.equal((await installation.fetch('told.localhost')).body, 'refused')
    await set('GITHUB')
    await told(sha, 'success')
  })

  test('follows no redirect to another host: the token is for one', async () => {
    await using other = await ForgeServer.start()
    await set('GITHUB')
    for (let time = 0; time < 2; time++) {
      forge.next.push((response) => {
        response.writeHead(307, { location: `${other.url}/github/repos/octo-org/shop/statuses/x` }).end()
      })
    }
    await deployed('redirected')
    await until(async () =>
      /redirects/.test(JSON.stringify(await graphql(installation.port, READ, { id: appId }))),
    )
    assert.equal(other.asked, 0)
    forge.next.length = 0
  })

  test('is told after all where the process died over it, and once where two workers run', async () => {
    await set('GITHUB')
    // The forge takes the request and does not answer: the process dies while it waits.
    forge.next.push(
      () => undefined,
      () => undefined,
    )
    const sha = repository.commit(webApp('survived'))
    const asked = forge.asked
    const id = await deploy(installation.port, appId, { ref: sha })
    await until(() => forge.asked > asked)
    await installation.processes[0]?.kill()
    forge.next.length = 0
    await installation.start({ ALLOW_INSECURE_FORGES: 'true' })
    await installation.start({ ROLES: 'worker', ROUTER: 'off', ALLOW_INSECURE_FORGES: 'true' })
    await sql('UPDATE deployment SET lease_until = now() WHERE lease_until > now()')
    await sql('UPDATE commit_status_report SET next_at = now()')
    assert.equal(await settled(id), 'RUNNING')
    await told(sha, 'success')
    assert.equal(forge.statesOf(sha).filter((state) => state === 'success').length, 1)
  })

  test('takes an address over https and a token that is never shown', async () => {
    const input = { appId, forge: 'GITHUB', token: 'right' }
    const refused = async (variables: object) => {
      const { errors } = await tryGraphql(installation.port, SET, { ...input, ...variables })
      return errors?.[0]?.extensions.field
    }
    assert.equal(await refused({}), 'repository')
    assert.equal(await refused({ repository: 'a/b' }), 'apiUrl')
    assert.equal(await refused({ repository: '../b', apiUrl: 'https://h' }), 'repository')
    assert.equal(await refused({ repository: 'a/b', apiUrl: 'ftp://h' }), 'apiUrl')
    assert.equal(await refused({ repository: 'a/b', apiUrl: 'https://u:p@h' }), 'apiUrl')
    assert.equal(await refused({ repository: 'a/b', apiUrl: 'https://h', token: 'a\nb' }), 'token')
    assert.equal(await refused({ repository: 'a/b', apiUrl: 'https://h', forge: 'BITBUCKET' }), 'forge')
    const shown = JSON.stringify(await graphql(installation.port, READ, { id: appId }))
    assert.match(shown, /"fingerprint":"[0-9a-f]{16}"/)
    assert.doesNotMatch(shown, /right/)
    const unset = 'mutation ($id: ID!) { unsetCommitStatus(appId: $id) { commitStatus { forge } } }'
    const gone = await graphql(installation.port, unset, { id: appId })
    assert.deepEqual(gone, { unsetCommitStatus: { commitStatus: null } })
  })

  async function sql(text: string): Promise<void> {
    const client = new pg.Client({ connectionString: installation.database.url })
    await client.connect()
    await client.query(text)
    await client.end()
  }
})
