import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openDatabase } from '../../src/database.js'
import { openRepositoryCredential } from '../../src/engine/repositories/credential.js'
import { openInstance } from '../../src/engine/secrets/instance.js'
import { traces } from '../support/canaries.js'
import { ChildWatch } from '../support/children.js'
import { createApp, deploy, followLog, graphql, readDeployment } from '../support/client.js'
import { docker } from '../support/docker.js'
import { GitServers, LOGIN, missingGitServers } from '../support/git-servers.js'
import { freshStep, TestRepository, webApp } from '../support/repository.js'
import { Installation } from '../support/server.js'
import { textsInDatabase } from '../support/tables.js'
import { type Wiretap, wiretap } from '../support/wiretap.js'

const WRONG = `wr0ng/${randomBytes(12).toString('base64url')}`
/** Printed by the build beside its environment: a scan that does not find it scans nothing. */
const CONTROL = `control-${randomBytes(9).toString('base64url')}`
const READ = `query ($id: ID!) { app(id: $id) {
  repoUrl repositoryCredential { kind username publicKey } deployments(first: 3) { nodes {
    id status error { code message lastLines } logs(first: 100) { events { seq text } } } } } }`
const REFS = 'query ($url: String!, $id: ID!) { repositoryRefs(repoUrl: $url, appId: $id) { branches } }'
const KEY = 'mutation ($id: ID!) { createDeployKey(appId: $id) { repositoryCredential { publicKey } } }'
const TOKEN = 'mutation ($id: ID!, $token: String!) { setRepositoryToken(appId: $id, token: $token) { id } }'

/** Over HTTPS with a token from a pasted URL, over SSH with a deploy key: what both are is found nowhere afterwards. */
describe(
  'a token and a key that private repositories are deployed with',
  { skip: missingGitServers() },
  () => {
    let servers: GitServers
    let installation: Installation
    let tap: Wiretap
    let children: ChildWatch
    const secrets: string[] = [LOGIN.password, WRONG]
    const deployments: string[] = []
    const logs: string[] = []

    before(async () => {
      servers = await GitServers.start()
      const steps = [freshStep(`echo ${CONTROL}; /bin/busybox env`)]
      new TestRepository(webApp('private page', steps), join(servers.root, 'private/code'))
      installation = await Installation.create()
      const server = await installation.start({ GIT_CA_FILE: join(servers.folder, 'ca/ca.pem') })
      tap = await wiretap(installation.port)
      children = new ChildWatch(server.child.pid ?? 0)
      const pasted = servers.httpsUrl('private/code').replace('://', `://${LOGIN.user}:${LOGIN.password}@`)
      const byToken = await createApp(tap.port, { name: 'by-token', repoUrl: pasted })
      await followed(byToken.deploymentId)
      const byKey = await createApp(tap.port, {
        name: 'by-key',
        repoUrl: servers.sshUrl('private/code'),
        deploy: false,
      })
      const made = await graphql<{ createDeployKey: { repositoryCredential: { publicKey: string } } }>(
        tap.port,
        KEY,
        {
          id: byKey.appId,
        },
      )
      appendFileSync(
        join(servers.folder, 'authorized_keys'),
        `${made.createDeployKey.repositoryCredential.publicKey}\n`,
      )
      secrets.push(await privateKeyOf(byKey.appId))
      await followed(await deploy(tap.port, byKey.appId))
      await graphql(tap.port, REFS, { url: servers.sshUrl('private/code'), id: byKey.appId })
      await graphql(tap.port, TOKEN, { id: byToken.appId, token: WRONG })
      await followed(await deploy(tap.port, byToken.appId))
      for (const { appId } of [byToken, byKey]) await graphql(tap.port, READ, { id: appId })
    })
    after(async () => {
      children[Symbol.dispose]()
      await tap[Symbol.asyncDispose]()
      await installation[Symbol.asyncDispose]()
      await servers[Symbol.asyncDispose]()
    })

    async function followed(id: string): Promise<void> {
      deployments.push(id)
      logs.push((await followLog(tap.port, id)).map(({ text }) => text).join(''))
    }

    /** As the worker opens it: the API never shows it. */
    async function privateKeyOf(appId: string): Promise<string> {
      const database = await openDatabase(installation.database.url)
      try {
        const { dataDir } = installation
        const opened = await openInstance(database, { masterKey: null, masterKeyPrevious: null, dataDir })
        const access = { database, secrets: opened.secrets }
        const credential = await openRepositoryCredential(access, appId, servers.sshUrl('private/code'))
        assert.ok(credential?.kind === 'DEPLOY_KEY')
        return credential.privateKey
      } finally {
        await database.destroy()
      }
    }

    function assertNowhere(texts: readonly string[], where: string): void {
      assert.ok(
        texts.some((text) => text !== ''),
        `there is something of ${where}`,
      )
      for (const [index, secret] of secrets.entries()) {
        for (const trace of traces(secret)) {
          assert.ok(!texts.some((text) => text.includes(trace)), `${where} shows secret ${index}`)
        }
      }
    }

    test('let both be deployed, and not with a wrong one', async () => {
      const states = await Promise.all(deployments.map((id) => readDeployment(installation.port, id)))
      assert.deepEqual(
        states.map(({ status }) => status),
        ['RUNNING', 'RUNNING', 'FAILED'],
      )
      for (const name of ['by-token', 'by-key'])
        assert.equal((await installation.fetch(`${name}.localhost`)).body, 'private page')
      assert.match(logs[0] ?? '', /with its token/)
      assert.match(logs[1] ?? '', /with its deploy key[\s\S]*Trusting the SSH host \[127\.0\.0\.1\]/)
    })

    test('are in no answer, log, error or table', async () => {
      const said = tap.said()
      assertNowhere([said, ...logs], 'the wire')
      assert.ok(said.includes(CONTROL) && said.includes('publicKey') && said.includes('lastLines'))
      assertNowhere(await textsInDatabase(installation.database.url), 'the database')
      assertNowhere(
        installation.processes.map(({ output }) => output),
        'the output of the server',
      )
    })

    test('are in no argument and no environment of a program, nor in those of a build', () => {
      assertNowhere(children.commandLines(), 'a command line')
      assertNowhere(children.environments(), 'an environment')
      assert.ok(
        children.commandLines().some((line) => line.includes('fetch') && line.includes('private/code')),
      )
      assert.ok(children.environments().some((text) => text.includes('GIT_ASKPASS')))
      const builds = logs.slice(0, 1).join('')
      assert.match(builds, /PATH=/)
      assert.doesNotMatch(builds, /GIT_|LONGSHORE_/)
    })

    test('are in no image, no mirror and no file that is left', () => {
      for (const [index, name] of ['by-token', 'by-key'].entries()) {
        const image = `mvp-${name}:${deployments[index]}`
        assertNowhere([docker('history', '--no-trunc', image), docker('inspect', image)], image)
      }
      const { dataDir } = installation
      const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile(),
      )
      const texts = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
      assertNowhere(texts, 'a file of DATA_DIR')
      assert.ok(files.some(({ parentPath }) => parentPath.includes('mirrors')))
      assert.deepEqual(readdirSync(join(dataDir, 'git-access')), [])
    })
  },
)
