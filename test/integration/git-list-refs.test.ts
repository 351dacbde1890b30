import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { TestRepository } from '../support/repository.js'

test('a repository lists branches and tags with their commits, and its default branch', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longshore-refs-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const git = createGitBinary({ dataDir, allowFileRepos: true, timeoutMs: 300_000, maxRepoBytes: 1024 ** 2 })
  const list = (repoUrl: string) => git.listRefs({ repoUrl, credential: null }, new AbortController().signal)
  using repository = new TestRepository({ 'a.txt': 'one' })
  const first = repository.git('rev-parse', 'HEAD')
  repository.git('tag', 'light')
  repository.git('tag', '-a', 'heavy', '-m', 'heavy')
  repository.git('branch', 'feature/x')
  const main = repository.commit({ 'a.txt': 'two' })

  const refs = await list(repository.url)
  assert.equal(refs.defaultBranch, 'main')
  assert.deepEqual(Object.fromEntries(refs.branches), { main, 'feature/x': first })
  assert.deepEqual(Object.fromEntries(refs.tags), { light: first, heavy: first })

  repository.git('symbolic-ref', 'HEAD', 'refs/heads/absent')
  assert.equal((await list(repository.url)).defaultBranch, null)
  await assert.rejects(list('file:///no/such/place'), { code: 'REPO_NOT_FOUND' })
  using empty = new TestRepository({})
  empty.git('update-ref', '-d', 'HEAD')
  assert.deepEqual(await list(empty.url), { defaultBranch: null, branches: new Map(), tags: new Map() })
})
