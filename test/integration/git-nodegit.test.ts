import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { readConfig } from '../../src/config.js'
import type { Git, Source, TreeEntry } from '../../src/engine/git/git.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { checkNodegit, createNodegit } from '../../src/engine/git/nodegit/nodegit.js'
import { GIT_BACKENDS } from '../support/git-backends.js'
import { TestRepository } from '../support/repository.js'
import { blob, commitTree, tree } from '../support/trees.js'

const NEVER = new AbortController().signal
const { skip = false } = GIT_BACKENDS.find(({ name }) => name === 'nodegit') ?? {}

describe('a start with GIT_BACKEND=nodegit', () => {
  test('says what to run where nodegit is not built, or for another Node.js', async (t) => {
    assert.equal(readConfig({ GIT_BACKEND: 'nodegit' }).gitBackend, 'nodegit')
    await assert.rejects(checkNodegit(null), {
      name: 'ConfigError',
      message: /^GIT_BACKEND: nodegit is not built here: run npm run setup:nodegit/,
    })
    const broken = mkdtempSync(join(tmpdir(), 'longshore-nodegit-'))
    t.after(() => rmSync(broken, { recursive: true, force: true }))
    writeFileSync(join(broken, 'index.js'), 'throw new Error("was compiled against a different Node.js")')
    await assert.rejects(checkNodegit(broken), {
      name: 'ConfigError',
      message: /cannot be loaded by Node\.js .*different Node\.js.*: run npm run setup:nodegit/,
    })
  })
})

/** What is nodegit's own, beside the suites that every backend keeps. */
describe('nodegit', { skip }, () => {
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

  const options = () => ({ dataDir, allowFileRepos: true, timeoutMs: 300_000, maxRepoBytes: 1024 ** 3 })
  const fetch = (git: Git, ref: string | null = null): Promise<Source> =>
    git.fetch(
      {
        repoUrl: repository.url,
        credential: null,
        ref,
        deploymentId: `n${count++}`,
        onProgress: () => undefined,
      },
      NEVER,
    )
  const packBytes = () => {
    const mirrors = join(dataDir, 'mirrors')
    const name = readdirSync(mirrors).find((one) => one.endsWith('.git')) ?? ''
    const folder = join(mirrors, name, 'objects/pack')
    return readdirSync(folder).reduce((sum, pack) => sum + statSync(join(folder, pack)).size, 0)
  }

  test('is loaded', async () => {
    assert.match(await checkNodegit(), /^nodegit \d/)
  })

  test('needs no git binary', async () => {
    const path = process.env.PATH
    const git = createNodegit(options())
    try {
      process.env.PATH = '/nonexistent'
      const source = await fetch(git)
      assert.equal(await source.read('a.txt', NEVER), 'one')
      assert.ok((await buffer(source.archive('.', NEVER))).length > 0)
      await git.sweep(() => Promise.resolve(new Set()))
    } finally {
      process.env.PATH = path
    }
  })

  test('goes on with a mirror of the git binary and the other way round, and receives what is new', async () => {
    writeFileSync(join(repository.folder, 'large'), randomBytes(3_000_000))
    repository.commit({})
    await fetch(createGitBinary(options()))
    for (const [index, create] of [createNodegit, createGitBinary, createNodegit].entries()) {
      const before = packBytes()
      const head = repository.commit({ 'a.txt': `change ${index}` })
      const source = await fetch(create(options()))
      assert.deepEqual([source.commitSha, await source.read('a.txt', NEVER)], [head, `change ${index}`])
      if (create === createNodegit)
        assert.ok(packBytes() - before < 100_000, `${packBytes() - before} bytes more`)
    }
  })

  test('shows a commit as the git binary does, whatever is in it', async () => {
    const text = blob(repository, 'text')
    const deep = tree(repository, [{ mode: '100755', name: 'n'.repeat(120), id: text }])
    const root = tree(repository, [
      { mode: '120000', name: 'a link', id: blob(repository, 't'.repeat(200)) },
      { mode: '40000', name: 'd', id: deep },
      { mode: '100644', name: 'empty', id: blob(repository, '') },
      { mode: '160000', name: 'module', id: text },
      { mode: '100644', name: 'é "quoted"\t', id: text },
    ])
    const commit = commitTree(repository, 'odd', root)
    const [git, nodegit] = [
      await fetch(createGitBinary(options()), 'odd'),
      await fetch(createNodegit(options()), 'odd'),
    ]
    const seen = async (source: Source) => {
      using contents = source.contents(NEVER)
      const entries: TreeEntry[] = []
      for await (const entry of source.entries('.', NEVER)) entries.push(entry)
      const read = await buffer(contents.read(text))
      const tar = await buffer(source.archive('.', NEVER))
      // Folders have no modes of their own in git, and what has no commit is dated by the clock.
      const listed = execFileSync('tar', ['-tv', '--utc'], { input: tar, encoding: 'utf8' })
      return {
        ...{ commit: source.commitSha, message: source.commitMessage, at: source.committedAt },
        ...{ entries, read: read.toString(), listed: listed.replace(/\d{4}-\d\d-\d\d \d\d:\d\d/g, '') },
        ...{ list: await source.list('.', NEVER), kinds: await source.kindsOf(['d', 'module', 'x'], NEVER) },
      }
    }
    assert.deepEqual(await seen(nodegit), await seen(git))
    assert.equal(git.commitSha, commit)
  })

  test('says that a commit cannot be checked out as the git binary does', async () => {
    const text = blob(repository, 'text')
    commitTree(repository, 'bad', tree(repository, [{ mode: '100644', name: '..', id: text }]))
    const source = await fetch(createNodegit(options()), 'bad')
    await assert.rejects(buffer(source.archive('.', NEVER)), {
      code: 'REPO_INVALID',
      message: /invalid path '\.\.'/,
    })
  })
})
