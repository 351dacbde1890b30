import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DeployError } from '../../src/engine/errors.js'
import { withMirrorLock } from '../../src/engine/git/mirror-lock.js'
import { ownIdentity } from '../../src/engine/git/process-identity.js'
import { type CreateGit, GIT_BACKENDS } from '../support/git-backends.js'
import { TestRepository } from '../support/repository.js'
import { until } from '../support/server.js'

const MIB = 1024 * 1024
const NEVER = new AbortController().signal

function suite(createGit: CreateGit): void {
  let dataDir = ''
  let repository: TestRepository
  let mirror = ''

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'longshore-git-'))
    repository = new TestRepository({ 'a.txt': 'one' })
    const name = createHash('sha256').update(repository.url).digest('hex').slice(0, 32)
    mirror = join(dataDir, 'mirrors', `${name}.git`)
  })
  afterEach(() => {
    rmSync(dataDir, { recursive: true, force: true })
    repository[Symbol.dispose]()
  })

  const port = (options: { timeoutMs?: number; maxRepoBytes?: number } = {}) =>
    createGit({
      dataDir,
      allowFileRepos: true,
      timeoutMs: 300_000,
      maxRepoBytes: 500 * MIB,
      ...options,
    })
  const request = (deploymentId: string, more: { ref?: string; onProgress?: () => void } = {}) => ({
    repoUrl: repository.url,
    ref: null,
    credential: null,
    deploymentId,
    onProgress: () => undefined,
    ...more,
  })
  const codeIs = (code: string) => (error: unknown) => {
    assert.equal(error instanceof DeployError ? error.code : String(error), code)
    return true
  }
  const none = () => Promise.resolve(new Set<string>())
  const own = () => Promise.resolve(new Set([repository.url]))
  const left = () => readdirSync(join(dataDir, 'mirrors')).filter((name) => name !== 'home')
  const leave = (path: string, text = '') => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }

  // What git leaves of each file it was writing when it was killed.
  for (const name of [
    'shallow.lock',
    'packed-refs.lock',
    'HEAD.lock',
    'config.lock',
    'refs/longshore/again.lock',
  ]) {
    test(`a ${name} that a killed git left does not stop the next try of the same deployment`, async () => {
      await port().fetch(request('again'), NEVER)
      const head = repository.commit({ 'a.txt': 'two' })
      leave(join(mirror, name))
      assert.equal((await port().fetch(request('again'), NEVER)).commitSha, head)
    })
  }

  test('a half-made mirror and half a pack of a killed git do not stop the next try', async () => {
    leave(join(`${mirror}.${process.pid}.new`, 'HEAD'), 'half')
    await port().fetch(request('one'), NEVER)
    leave(join(mirror, 'objects/pack/tmp_pack_aaaaaa'), 'half')
    const head = repository.commit({ 'a.txt': 'two' })
    assert.equal((await port().fetch(request('two'), NEVER)).commitSha, head)
  })

  test('a fetch that is broken off at any point of its transfer leaves the mirror usable and unlocked', async () => {
    for (let file = 0; file < 120; file++) {
      writeFileSync(join(repository.folder, `large-${file}`), randomBytes(60_000))
    }
    const head = repository.commit({})
    let calls = Infinity
    for (const stopAt of [1, 2, 5, 9]) {
      const breaking = new AbortController()
      calls = 0
      const onProgress = () => {
        calls += 1
        if (calls === stopAt) breaking.abort(new Error('broken off'))
      }
      const id = `broken-${stopAt}`
      await assert.rejects(port().fetch(request(id, { onProgress }), breaking.signal), /broken off/)
      assert.equal(existsSync(`${mirror}.lock`), false)
    }
    const source = await port().fetch(request('whole'), NEVER)
    assert.equal(source.commitSha, head)
    execFileSync('git', ['-C', mirror, 'fsck', '--no-dangling'], { stdio: 'pipe' })
    const tar = await buffer(source.archive('.', NEVER))
    assert.ok(tar.length > 120 * 60_000)
  })

  // Fewer than fetch.unpackLimit objects are unpacked one by one, more stay a pack: other files grow.
  for (const [what, files] of [
    ['in one file', 1],
    ['in 200 files', 200],
  ] as const) {
    test(`a commit of 20 MB ${what} is REPO_TOO_LARGE for a limit of 5 MB`, async () => {
      for (let file = 0; file < files; file++) {
        writeFileSync(join(repository.folder, `large-${file}`), randomBytes(20_000_000 / files))
      }
      repository.commit({})
      const limited = port({ maxRepoBytes: 5 * MIB })
      await assert.rejects(limited.fetch(request('large'), NEVER), codeIs('REPO_TOO_LARGE'))
      await assert.rejects(limited.fetch(request('large'), NEVER), codeIs('REPO_TOO_LARGE'))
    })
  }

  test('the limit holds also for a transfer that is over in a moment', async () => {
    writeFileSync(join(repository.folder, 'large'), randomBytes(4_000_000))
    repository.commit({})
    const limited = port({ maxRepoBytes: 1 * MIB })
    await assert.rejects(limited.fetch(request('quick'), NEVER), codeIs('REPO_TOO_LARGE'))
  })

  test('a refused or broken-off fetch leaves nothing large on the disk once the repository is forgotten', async () => {
    writeFileSync(join(repository.folder, 'large'), randomBytes(8_000_000))
    repository.commit({})
    const breaking = new AbortController()
    const onProgress = () => breaking.abort(new Error('broken off'))
    await assert.rejects(port().fetch(request('one', { onProgress }), breaking.signal))
    await port().forget(repository.url, none)
    const left = readdirSync(join(dataDir, 'mirrors'), { recursive: true, encoding: 'utf8' })
    const bytes = left.reduce((sum, path) => sum + statSync(join(dataDir, 'mirrors', path)).size, 0)
    assert.ok(bytes < 100_000, `${bytes} bytes are left: ${left.join(' ')}`)
  })

  test('a server that accepts and never answers is CLONE_TIMEOUT', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await until(() => silent.listening)
    const repoUrl = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/x.git`
    try {
      const asked = port({ timeoutMs: 300 }).fetch({ ...request('slow'), repoUrl }, NEVER)
      await assert.rejects(asked, codeIs('CLONE_TIMEOUT'))
    } finally {
      silent.close()
    }
  })

  test('an archive has executable files, links and submodules as a checkout has them', async () => {
    const sub = repository.git('rev-parse', 'HEAD')
    repository.link('link', 'a.txt')
    writeFileSync(join(repository.folder, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 })
    repository.commit({ 'deep/.gitattributes': 'hidden export-ignore\n', 'deep/hidden': 'kept' })
    repository.git('update-index', '--add', '--cacheinfo', `160000,${sub},module`)
    repository.git('commit', '--quiet', '-m', 'module')
    const source = await port().fetch(request('one'), NEVER)
    assert.equal((await source.kindsOf(['module'], NEVER)).get('module'), 'submodule')
    const tar = await buffer(source.archive('.', NEVER))
    const listed = execFileSync('tar', ['-tv'], { input: tar, encoding: 'utf8' }).split('\n')
    const line = (name: string) => listed.find((one) => one.includes(` ${name}`)) ?? ''
    assert.match(line('run.sh'), /^-rwx/)
    assert.match(line('link'), /^l.* link -> a\.txt$/)
    assert.match(line('deep/hidden'), /^-rw-/)
  })

  test('commits that other deployments hold outlive the end of one, also of the same commit', async () => {
    const git = port()
    const first = await git.fetch(request('one'), NEVER)
    const second = await git.fetch(request('two'), NEVER)
    assert.equal(first.commitSha, second.commitSha)
    await git.sweep(() => Promise.resolve(new Set(['two'])))
    execFileSync('git', ['-C', mirror, 'gc', '--quiet', '--prune=now'])
    assert.equal(await second.read('a.txt', NEVER), 'one')
  })

  test('a mirror that no app names any more goes, and not while somebody fetches', async () => {
    const git = port()
    await git.fetch(request('one'), NEVER)
    await git.prune(own)
    assert.equal(left().length, 1)

    await withMirrorLock(mirror, NEVER, () => git.prune(none))
    assert.deepEqual(left(), [basename(mirror)])

    await git.prune(none)
    assert.deepEqual(left(), [])
  })

  test('a mirror that an app names when its lock is got stays', async () => {
    const git = port()
    await git.fetch(request('one'), NEVER)
    for (const remove of [
      (named: typeof own) => git.prune(named),
      (named: typeof own) => git.forget(repository.url, named),
    ]) {
      let asked = 0
      await remove(() => (asked++ === 0 ? none() : own()))
      assert.deepEqual({ asked, left: left() }, { asked: 2, left: [basename(mirror)] })
    }
  })

  test('what killed processes left beside a mirror that is needed goes, and what is somebody’s stays', async () => {
    await port().fetch(request('one'), NEVER)
    const self = await ownIdentity()
    const dead = JSON.stringify({ ...self, startedAt: '1' })
    const candidate = () => `${mirror}.lock.${randomUUID()}`
    const living = candidate()
    leave(join(living, 'somebody'), JSON.stringify(self))
    leave(join(candidate(), 'somebody'), dead)
    const silent = candidate()
    mkdirSync(silent)
    const longAgo = new Date(Date.now() - 60_000)
    utimesSync(silent, longAgo, longAgo)
    leave(join(`${mirror}.lock`, 'somebody'), dead)
    leave(join(`${mirror}.new`, 'HEAD'))
    leave(join(`${mirror}.4711.new`, 'HEAD'))
    leave(join(mirror, 'objects/pack/tmp_pack_aaaaaa'), 'half')

    await port().prune(own)
    assert.deepEqual(left().sort(), [basename(mirror), basename(living)])
    assert.ok(!readdirSync(join(mirror, 'objects/pack')).some((name) => name.startsWith('tmp_')))
  })

  test('a process that was taken for dead while it made its lock makes another one', async () => {
    const stopped = withMirrorLock(mirror, NEVER, () => Promise.resolve('done'))
    const taken = setInterval(() => {
      for (const name of existsSync(dirname(mirror)) ? left() : []) {
        if (/lock\./.test(name)) rmSync(join(dirname(mirror), name), { recursive: true, force: true })
      }
    })
    mkdirSync(dirname(mirror), { recursive: true })
    assert.equal(await stopped, 'done')
    clearInterval(taken)
  })
}

for (const { name, createGit, skip } of GIT_BACKENDS) {
  describe(`mirrors that something went wrong with (${name})`, { skip }, () => suite(createGit))
}
