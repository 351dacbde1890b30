import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DeployError } from '../../src/engine/errors.js'
import { type CreateGit, GIT_BACKENDS } from '../support/git-backends.js'
import { TestRepository } from '../support/repository.js'

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

  const port = () =>
    createGit({ dataDir, allowFileRepos: true, timeoutMs: 300_000, maxRepoBytes: 500 * 1024 * 1024 })
  const fetch = (ref: string | null, git = port(), signal = NEVER, repoUrl = repository.url) =>
    git.fetch(
      { repoUrl, credential: null, ref, deploymentId: `deployment${count++}`, onProgress: () => undefined },
      signal,
    )

  test('fetches every name that git takes, and full and half names', async () => {
    const touched = join(dataDir, 'touched')
    const command = `$(touch\${IFS}${touched})`
    const names = [command, 'größe', 'fix(ui)', 'a&b', 'feature/日本', "it's;$(x)`y`|z", 'a\u3000b', '+main']
    const commits = new Map<string, string>()
    for (const name of names) {
      repository.git('checkout', '--quiet', '-b', name)
      commits.set(name, repository.commit({ 'a.txt': name }))
    }
    for (const [name, commit] of commits) assert.equal((await fetch(name)).commitSha, commit, name)
    const first = repository.git('rev-parse', 'main')
    repository.git('tag', 'v1', 'main')
    for (const ref of ['refs/heads/main', 'heads/main', 'refs/tags/v1', 'tags/v1']) {
      assert.equal((await fetch(ref)).commitSha, first, ref)
    }
    repository.git('update-ref', 'refs/pull/7/head', commits.get('größe') ?? '')
    assert.equal((await fetch('refs/pull/7/head')).commitSha, commits.get('größe'))
    const { branches } = await port().listRefs({ repoUrl: repository.url, credential: null }, NEVER)
    assert.deepEqual(new Set(branches.keys()), new Set(['main', ...names]))
    assert.ok(!existsSync(touched))
  })

  test('says that a tag has the name of the branch that it took, if it is asked', async () => {
    repository.git('tag', 'same')
    repository.git('checkout', '--quiet', '-b', 'same')
    const branch = repository.commit({ 'a.txt': 'two' })
    let told = 0
    const request = { repoUrl: repository.url, credential: null, onProgress: () => undefined }
    const asking = (ref: string) => {
      const onAmbiguous = () => void told++
      return port().fetch({ ...request, ref, deploymentId: `deployment${count++}`, onAmbiguous }, NEVER)
    }
    assert.deepEqual([(await asking('same')).commitSha, told], [branch, 1])
    await asking('main')
    await asking('refs/heads/same')
    await asking('refs/tags/same')
    assert.equal(told, 1)
  })

  test('says of a short commit id that a full one is needed', async () => {
    const short = repository.git('rev-parse', '--short', 'HEAD')
    await assert.rejects(fetch(short), (error: DeployError) => {
      assert.equal(error.code, 'REF_NOT_FOUND')
      assert.match(error.message, /short commit id is not enough: give all 40 digits/)
      return true
    })
  })

  test('says of a repository with SHA-256 ids that it is one', async () => {
    const folder = join(dataDir, 'sha256')
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', folder, '-c', 'user.name=T', '-c', 'user.email=t@x', ...args])
    mkdirSync(folder)
    git('init', '--quiet', '-b', 'main', '--object-format=sha256')
    git('commit', '--quiet', '--allow-empty', '-m', 'x')
    const repoUrl = `file://${folder}`
    const isSaid = (error: unknown) =>
      error instanceof DeployError && /is a SHA-256 repository, which Longshore does not/.test(error.message)
    await assert.rejects(fetch('main', port(), NEVER, repoUrl), isSaid)
    await assert.rejects(port().listRefs({ repoUrl, credential: null }, NEVER), isSaid)
  })
}

for (const { name, createGit, skip } of GIT_BACKENDS) {
  describe(`refs through the git port (${name})`, { skip }, () => suite(createGit))
}
