import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readCaFile, writeCaBundle } from '../../src/engine/git/ca-bundle.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import type { Git, RepositoryCredential } from '../../src/engine/git/git.js'
import { createForgetfulHosts, fingerprintOf, type KnownHosts } from '../../src/engine/git/host-keys.js'
import { ownIdentity } from '../../src/engine/git/process-identity.js'
import { withRemoteAccess } from '../../src/engine/git/remote-access.js'
import { createDeployKey } from '../../src/engine/secrets/deploy-key.js'
import { GitServers, LOGIN, missingGitServers } from '../support/git-servers.js'
import { TestRepository } from '../support/repository.js'

const TOKEN: RepositoryCredential = { kind: 'TOKEN', username: LOGIN.user, token: LOGIN.password }

/** Against an nginx with a CA of its own and a password, and an sshd, neither of which this account knows. */
describe('a private repository', { skip: missingGitServers() }, () => {
  let servers: GitServers
  let git: Git
  let hosts: KnownHosts
  let caBundle: string
  let repository: TestRepository
  const dataDir = mkdtempSync(join(tmpdir(), 'longshore-private-'))
  const folders = join(dataDir, 'git-access')
  const key = createDeployKey('longshore-test')
  const DEPLOY_KEY: RepositoryCredential = { kind: 'DEPLOY_KEY', privateKey: key.privateKey }

  const open = (knownHosts = createForgetfulHosts()) => {
    hosts = knownHosts
    const limits = { timeoutMs: 60_000, maxRepoBytes: 1024 ** 2 }
    git = createGitBinary({ dataDir, allowFileRepos: false, caBundle, knownHosts, ...limits })
  }

  before(async () => {
    servers = await GitServers.start()
    repository = new TestRepository({ 'a.txt': 'one' }, join(servers.root, 'private/code'))
    appendFileSync(join(servers.folder, 'authorized_keys'), `${key.publicKey}\n`)
    caBundle = join(dataDir, 'ca.pem')
    await writeCaBundle(caBundle, await readCaFile(join(servers.folder, 'ca/ca.pem')))
    open()
  })
  after(async () => {
    await servers[Symbol.asyncDispose]()
    rmSync(dataDir, { recursive: true, force: true })
  })

  const said: string[] = []
  const list = (repoUrl: string, credential: RepositoryCredential | null) => {
    const onNewHost = (host: string, fingerprint: string) => void said.push(`${host} ${fingerprint}`)
    return git.listRefs({ repoUrl, credential, onNewHost }, new AbortController().signal)
  }
  const fetched = async (repoUrl: string, credential: RepositoryCredential | null) => {
    const request = { repoUrl, credential, ref: 'main', deploymentId: 'd', onProgress: () => undefined }
    const { signal } = new AbortController()
    return (await git.fetch(request, signal)).read('a.txt', signal)
  }
  const https = () => servers.httpsUrl('private/code')
  const ssh = () => servers.sshUrl('private/code')

  test('is fetched over HTTPS with its token, and only with it', async () => {
    assert.equal(await fetched(https(), TOKEN), 'one')
    assert.equal((await list(https(), TOKEN)).defaultBranch, 'main')
    await assert.rejects(fetched(https(), null))
    const wrong = { ...TOKEN, token: 'wr0ng-s3cret' }
    await assert.rejects(fetched(https(), wrong), (error: Error & { lastLines?: string[] }) => {
      assert.doesNotMatch([error.message, ...(error.lastLines ?? [])].join(), /wr0ng-s3cret/)
      return true
    })
  })

  test('is fetched over SSH with its key, and only with it', async () => {
    assert.equal(await fetched(ssh(), DEPLOY_KEY), 'one')
    const stranger = { kind: 'DEPLOY_KEY', privateKey: createDeployKey('x').privateKey } as const
    await assert.rejects(list(ssh(), stranger), /key|credential|Permission denied/)
  })

  test('is offered no other key than its own, and no agent’s', async () => {
    const settings = { allowFileRepos: false, homeDir: dataDir }
    const remote = { repoUrl: ssh(), credential: DEPLOY_KEY }
    const options = await withRemoteAccess({ settings, folders, knownHosts: hosts }, remote, (granted) => {
      const command = `${granted.remoteEnvironment?.GIT_SSH_COMMAND} -G 127.0.0.1`
      return Promise.resolve(execFileSync('sh', ['-c', command], { encoding: 'utf8' }))
    })
    assert.equal(options.match(/^identityfile .*$/gm)?.length, 1)
    for (const option of [
      'identitiesonly yes',
      'identityagent none',
      'batchmode yes',
      'stricthostkeychecking true',
    ])
      assert.ok(options.includes(`${option}\n`), options)
  })

  test('of a host nobody knows is trusted once: the key is said, kept, and another one refused', async () => {
    open()
    said.length = 0
    const port = servers.ports.ssh
    const keyOf = (name: string) =>
      readFileSync(join(servers.folder, `${name}.pub`), 'utf8')
        .split(' ')
        .slice(0, 2)
        .join(' ')
    await list(ssh(), DEPLOY_KEY)
    await list(ssh(), DEPLOY_KEY)
    assert.deepEqual(said, [`[127.0.0.1]:${port} ${fingerprintOf(keyOf('host'))}`])
    assert.equal(await hosts.find(`[127.0.0.1]:${port}`), keyOf('host'))

    const changed = createForgetfulHosts()
    await changed.record(`[127.0.0.1]:${port}`, keyOf('other-host'))
    open(changed)
    await assert.rejects(list(ssh(), DEPLOY_KEY), /host key/)
    const otherType = createForgetfulHosts()
    execFileSync('ssh-keygen', ['-q', '-t', 'ecdsa', '-N', '', '-f', join(dataDir, 'ecdsa')])
    const [type, blob] = readFileSync(join(dataDir, 'ecdsa.pub'), 'utf8').split(' ')
    await otherType.record(`[127.0.0.1]:${port}`, `${type} ${blob}`)
    open(otherType)
    await assert.rejects(list(ssh(), DEPLOY_KEY), /another host key.*forget-host/)
    const faster: KnownHosts = {
      find: () => Promise.resolve(null),
      record: () => Promise.resolve(keyOf('other-host')),
    }
    open(faster)
    await assert.rejects(list(ssh(), DEPLOY_KEY), /another worker.*forget-host/)
    assert.equal(said.length, 1)
    open()
  })

  test('leaves nothing of its credential, also where a process was killed over it', async () => {
    assert.deepEqual(readdirSync(folders), [])
    const seen: string[] = []
    const settings = { allowFileRepos: false, homeDir: dataDir }
    const remotes = [
      { repoUrl: https(), credential: TOKEN },
      { repoUrl: ssh(), credential: DEPLOY_KEY },
    ]
    for (const remote of remotes) {
      await withRemoteAccess({ settings, folders, knownHosts: hosts }, remote, () => {
        const [folder = ''] = readdirSync(folders)
        assert.equal(statSync(join(folders, folder)).mode & 0o777, 0o700)
        for (const name of readdirSync(join(folders, folder))) {
          seen.push(name)
          assert.equal(statSync(join(folders, folder, name)).mode & 0o777, 0o600, name)
        }
        return Promise.resolve()
      })
    }
    assert.deepEqual(seen.sort(), ['key', 'known_hosts', 'owner.json', 'owner.json', 'token'])
    const dead = spawn('true')
    await once(dead, 'exit')
    const self = await ownIdentity()
    for (const [name, pid] of [
      ['killed', dead.pid],
      ['at-work', process.pid],
    ] as const) {
      mkdirSync(join(folders, name))
      writeFileSync(join(folders, name, 'owner.json'), JSON.stringify({ ...self, pid }))
    }
    await git.prune(() => Promise.resolve(new Set([https(), ssh()])))
    assert.deepEqual(readdirSync(folders), ['at-work'])
    rmSync(join(folders, 'at-work'), { recursive: true })
    assert.ok(existsSync(repository.folder))
  })
})

test('the program that git asks gives the token to no other host than the repository’s', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'longshore-askpass-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'token')
  writeFileSync(file, 'git.example.com:8443\nme\ns3c"ret \\n %s\n')
  const program = join(import.meta.dirname, '../../../scripts/git-askpass')
  const ask = (question: string) => {
    try {
      const env = { PATH: process.env.PATH, LONGSHORE_GIT_TOKEN: file }
      return execFileSync(program, [question], { env, encoding: 'utf8', stdio: 'pipe' })
    } catch {
      return null
    }
  }
  assert.equal(ask("Username for 'https://git.example.com:8443': "), 'me\n')
  assert.equal(ask("Password for 'https://me@git.example.com:8443': "), 's3c"ret \\n %s\n')
  for (const question of [
    "Username for 'https://git.example.com': ",
    "Username for 'https://evil.example.com': ",
    "Password for 'https://me@evil.example.com:8443': ",
    "Password for 'https://git.example.com:8443@evil': ",
    "Password for 'http://me@git.example.com:8443': ",
    "Password for 'https://me@evilgit.example.com:8443': ",
    '',
  ])
    assert.equal(ask(question), null, question)
})
