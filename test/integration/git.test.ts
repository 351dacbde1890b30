import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DeployError } from '../../src/engine/errors.js'
import { ownIdentity } from '../../src/engine/git/process-identity.js'
import { type CreateGit, GIT_BACKENDS } from '../support/git-backends.js'
import { TestRepository } from '../support/repository.js'
import { until } from '../support/server.js'

const NEVER = new AbortController().signal

/** What every backend of the git port has to keep. */
function suite(createGit: CreateGit): void {
  let dataDir = ''
  let repository: TestRepository
  let count = 0

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'longshore-git-'))
    repository = new TestRepository({ 'a.txt': 'one' })
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
      maxRepoBytes: 500 * 1024 * 1024,
      ...options,
    })
  const fetch = (ref: string | null, git = port(), signal = NEVER, repoUrl = repository.url) =>
    git.fetch(
      { repoUrl, credential: null, ref, deploymentId: `deployment${count++}`, onProgress: () => undefined },
      signal,
    )
  const codeIs = (code: string) => (error: unknown) => error instanceof DeployError && error.code === code

  test('fetches the default branch, a branch, a tag, an annotated tag and a full commit id', async () => {
    const first = repository.git('rev-parse', 'HEAD')
    repository.git('tag', 'light')
    repository.git('tag', '-a', 'heavy', '-m', 'heavy')
    repository.git('checkout', '--quiet', '-b', 'feature/x')
    const feature = repository.commit({ 'a.txt': 'two' }, 'on a branch\n\nwith a body')
    repository.git('checkout', '--quiet', 'main')
    const main = repository.commit({ 'a.txt': 'three' })
    assert.equal((await fetch(null)).commitSha, main)
    assert.equal((await fetch('main')).commitSha, main)
    const branch = await fetch('feature/x')
    assert.deepEqual([branch.commitSha, branch.commitMessage], [feature, 'on a branch'])
    assert.equal((await fetch('light')).commitSha, first)
    assert.equal((await fetch('heavy')).commitSha, first)
    assert.equal((await fetch(first)).commitSha, first)
  })

  test('takes the branch where a tag has the same name', async () => {
    repository.git('tag', 'same')
    repository.git('checkout', '--quiet', '-b', 'same')
    const branch = repository.commit({ 'a.txt': 'two' })
    assert.equal((await fetch('same')).commitSha, branch)
  })

  test('tells a ref, a repository and a commit that are not there apart', async () => {
    await assert.rejects(fetch('nowhere'), codeIs('REF_NOT_FOUND'))
    await assert.rejects(fetch('0'.repeat(40)), codeIs('REF_NOT_FOUND'))
    await assert.rejects(fetch(null, port(), NEVER, 'file:///no/such/place'), codeIs('REPO_NOT_FOUND'))
    using empty = new TestRepository({})
    empty.git('update-ref', '-d', 'HEAD')
    await assert.rejects(fetch(null, port(), NEVER, empty.url), codeIs('REF_NOT_FOUND'))
  })

  test('archives the files as a checkout would have them, whatever .gitattributes says', async () => {
    repository.commit({
      '.gitattributes': 'secret.txt export-ignore\nversion.txt export-subst\n',
      'secret.txt': 'shipped all the same',
      'version.txt': '$Format:%H$',
      'deep/er/file.txt': 'deep',
    })
    const source = await fetch(null)
    assert.deepEqual(await unpack(source.archive('.', NEVER)), {
      '.gitattributes': 'secret.txt export-ignore\nversion.txt export-subst\n',
      'a.txt': 'one',
      'deep/er/file.txt': 'deep',
      'secret.txt': 'shipped all the same',
      'version.txt': '$Format:%H$',
    })
    assert.deepEqual(await unpack(source.archive('deep', NEVER)), { 'er/file.txt': 'deep' })
    assert.equal(await source.read('deep/er/file.txt', NEVER), 'deep')
  })

  test('knows files, folders and links without following any', async () => {
    repository.link('link', '/etc/passwd')
    repository.link('way', 'folder')
    repository.commit({ 'folder/file': 'x' })
    const source = await fetch(null)
    const paths = [
      'a.txt',
      'folder',
      'folder/file',
      'folder/none',
      'link',
      'way',
      'way/file',
      'none',
      '.',
      '*',
    ]
    assert.deepEqual([...(await source.kindsOf(paths, NEVER))].sort(), [
      ['.', 'folder'],
      ['a.txt', 'file'],
      ['folder', 'folder'],
      ['folder/file', 'file'],
      ['link', 'link'],
      ['way', 'link'],
    ])
    assert.deepEqual([...(await source.kindsOf(['folder/file'], NEVER))], [['folder/file', 'file']])
    assert.deepEqual([...(await source.list('folder', NEVER))], [['file', 'file']])
    assert.deepEqual((await source.list('.', NEVER)).get('way'), 'link')
    for (const path of ['none', 'way', 'a.txt']) assert.equal((await source.list(path, NEVER)).size, 0, path)
  })

  test('says so when what was fetched cannot be read, and not that there is no such file', async () => {
    const source = await fetch(null)
    const mirror = readdirSync(join(dataDir, 'mirrors')).find((name) => name.endsWith('.git')) ?? ''
    rmSync(join(dataDir, 'mirrors', mirror, 'objects/pack'), { recursive: true })
    await assert.rejects(source.kindsOf(['a.txt'], NEVER), {
      name: 'InfrastructureError',
      code: 'GIT_FAILED',
    })
  })

  test('lists folders of many entries to their first, and reads the beginning of a long file', async () => {
    const long = 'a name of such a length that all of them are a long list'
    const many = Array.from({ length: 5_000 }, (_, index): [string, string] => [`pages/z${long}${index}`, ''])
    repository.commit({
      ...Object.fromEntries(many),
      'pages/index.html': '',
      'long.txt': `start${'x'.repeat(1100 * 1024)}`,
    })
    const source = await fetch(null)
    const pages = await source.list('pages', NEVER)
    assert.equal(pages.size, 5_001)
    assert.equal(pages.get('index.html'), 'file')
    assert.equal(await source.read('long.txt', NEVER, 6), 'startx')
    assert.match(await source.read('long.txt', NEVER), /^startx+$/)
  })

  test('serves several deployments of one repository at once', async () => {
    const commits = Array.from({ length: 4 }, (_, index) => repository.commit({ 'a.txt': `${index}` }))
    const git = port()
    const asked = [...commits, ...commits]
    const sources = await Promise.all(asked.map((commit) => fetch(commit, git)))
    assert.deepEqual(
      sources.map((source) => source.commitSha),
      asked,
    )
    const files = await Promise.all(sources.map((source) => unpack(source.archive('.', NEVER))))
    assert.deepEqual(
      files.map((file) => file['a.txt']),
      ['0', '1', '2', '3', '0', '1', '2', '3'],
    )
  })

  test('goes on after a fetch that was broken off, and after locks that the dead left', async () => {
    writeFileSync(join(repository.folder, 'large'), randomBytes(40 * 1024 * 1024))
    const head = repository.commit({})
    const breaking = new AbortController()
    const mirrors = join(dataDir, 'mirrors')
    const fetching = assert.rejects(fetch(null, port(), breaking.signal), /broken off/)
    mkdirSync(mirrors, { recursive: true })
    const mirror = await until(() => readdirSync(mirrors).find((name) => name.endsWith('.git')), 5)
    breaking.abort(new Error('broken off'))
    await fetching
    const pid = Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }))
    const lock = join(dataDir, 'mirrors', `${mirror}.lock`)
    mkdirSync(lock)
    writeFileSync(join(lock, 'dead'), JSON.stringify({ ...(await ownIdentity()), pid }))
    writeFileSync(join(dataDir, 'mirrors', mirror, 'shallow.lock'), '')
    assert.equal((await fetch(null)).commitSha, head)
  })

  test('refuses what is too large and what takes too long', async () => {
    writeFileSync(join(repository.folder, 'large'), randomBytes(60 * 1024 * 1024))
    repository.commit({})
    await assert.rejects(fetch(null, port({ maxRepoBytes: 5 * 1024 * 1024 })), codeIs('REPO_TOO_LARGE'))
    assert.deepEqual(readdirSync(join(dataDir, 'mirrors')), ['home'], 'what was fetched of it is kept')
    await assert.rejects(fetch(null, port({ timeoutMs: 50 })), codeIs('CLONE_TIMEOUT'))
  })

  test('never takes a ref or a URL for an option, even if the checks before it were not there', async () => {
    const proof = join(dataDir, 'proof')
    for (const hostile of [`--upload-pack=touch ${proof}`, `--output=${proof}`, '-h']) {
      await assert.rejects(fetch(hostile))
      await assert.rejects(fetch(null, port(), NEVER, hostile))
    }
    await assert.rejects(fetch(null, port(), NEVER, `ext::sh -c touch% ${proof}`))
    assert.equal(existsSync(proof), false)
  })

  test('reads no configuration of the account that runs it', async () => {
    const home = mkdtempSync(join(tmpdir(), 'longshore-home-'))
    const before = process.env.HOME
    writeFileSync(join(home, '.gitconfig'), `[url "file:///nowhere/"]\n  insteadOf = ${repository.url}\n`)
    try {
      process.env.HOME = home
      assert.ok((await fetch(null)).commitSha)
    } finally {
      process.env.HOME = before
      rmSync(home, { recursive: true, force: true })
    }
  })

  test('lets go of a commit, and forgets a repository', async () => {
    const git = port()
    const request = {
      repoUrl: repository.url,
      credential: null,
      ref: null,
      deploymentId: 'one',
      onProgress: () => undefined,
    }
    await git.fetch(request, NEVER)
    const mirror = join(
      dataDir,
      'mirrors',
      readdirSync(join(dataDir, 'mirrors')).find((name) => /git$/.test(name)) ?? '',
    )
    const refs = () => execFileSync('git', ['-C', mirror, 'for-each-ref'], { encoding: 'utf8' })
    assert.match(refs(), /refs\/longshore\/one/)
    await git.sweep(() => Promise.resolve(new Set(['one'])))
    assert.match(refs(), /refs\/longshore\/one/)
    await git.sweep(() => Promise.resolve(new Set()))
    assert.equal(refs(), '')
    await git.forget(repository.url, () => Promise.resolve(new Set()))
    assert.equal(existsSync(mirror), false)
  })
}

for (const { name, createGit, skip } of GIT_BACKENDS) {
  describe(`the git port (${name})`, { skip }, () => suite(createGit))
}

/** Files of a tar, by path. */
async function unpack(archive: Readable): Promise<Record<string, string>> {
  const tar = await buffer(archive)
  const names = execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8' }).split('\n')
  const files = names.filter((name) => name !== '' && !name.endsWith('/')).sort()
  return Object.fromEntries(
    files.map((name) => [name, execFileSync('tar', ['-xO', '--', name], { input: tar, encoding: 'utf8' })]),
  )
}
