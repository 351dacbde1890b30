import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type CreateGit, GIT_BACKENDS } from '../support/git-backends.js'
import { TestRepository } from '../support/repository.js'

function suite(createGit: CreateGit): void {
  test('a repository lists branches and tags with their commits, and its default branch', async (t) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'longshore-refs-'))
    t.after(() => rmSync(dataDir, { recursive: true, force: true }))
    const git = createGit({ dataDir, allowFileRepos: true, timeoutMs: 300_000, maxRepoBytes: 1024 ** 2 })
    const list = (repoUrl: string) =>
      git.listRefs({ repoUrl, credential: null }, new AbortController().signal)
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
}

for (const { name, createGit, skip } of GIT_BACKENDS) {
  describe(`the refs of a repository (${name})`, { skip }, () => suite(createGit))
}
