import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DeployError } from '../../src/engine/errors.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { TestRepository } from '../support/repository.js'
import { until } from '../support/server.js'

const MIB = 1024 * 1024
const NEVER = new AbortController().signal

describe('mirrors that something went wrong with', () => {
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
    createGitBinary({
      dataDir,
      allowFileRepos: true,
      timeoutMs: 300_000,
      maxRepoBytes: 500 * MIB,
      ...options,
    })
  const request = (deploymentId: string, more: { ref?: string; onProgress?: () => void } = {}) => ({
    repoUrl: repository.url,
    ref: null,
    deploymentId,
    onProgress: () => undefined,
    ...more,
  })
  const codeIs = (code: string) => (error: unknown) => {
    assert.equal(error instanceof DeployError ? error.code : String(error), code)
    return true
  }
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
    await port().forget(repository.url)
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

  test('commits that other deployments hold outlive the release of one, also of the same commit', async () => {
    const git = port()
    const first = await git.fetch(request('one'), NEVER)
    const second = await git.fetch(request('two'), NEVER)
    assert.equal(first.commitSha, second.commitSha)
    await git.release(repository.url, 'one')
    execFileSync('git', ['-C', mirror, 'gc', '--quiet', '--prune=now'])
    assert.equal(await second.read('a.txt', NEVER), 'one')
    await git.release(repository.url, 'never fetched')
  })
})
