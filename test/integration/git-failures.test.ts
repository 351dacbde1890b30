import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DeployError, OutageError } from '../../src/engine/errors.js'
import { FETCH_FAILURES } from '../../src/engine/git/fetch-failures.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { FAILURES } from '../support/fetch-failures.js'
import { GitServers, missingGitServers } from '../support/git-servers.js'
import { TestRepository } from '../support/repository.js'

const NEVER = new AbortController().signal
const ABSENT = 'does not exist, or needs a credential: '

describe('a fetch that fails', { skip: missingGitServers() }, () => {
  let servers: GitServers
  let dataDir = ''

  before(async () => {
    servers = await GitServers.start()
    dataDir = mkdtempSync(join(tmpdir(), 'longshore-failures-'))
    new TestRepository({ 'a.txt': 'one' }, join(servers.root, 'repo'))
  })
  after(async () => {
    await servers[Symbol.asyncDispose]()
    rmSync(dataDir, { recursive: true, force: true })
  })

  const fetch = (repoUrl: string) => {
    const git = createGitBinary({
      dataDir,
      allowFileRepos: false,
      timeoutMs: 300_000,
      maxRepoBytes: 1024 ** 3,
    })
    const onProgress = () => undefined
    return git.fetch({ repoUrl, credential: null, ref: null, deploymentId: 'one', onProgress }, NEVER)
  }
  const errorOf = async (url: string, key?: string) => {
    const undo = servers.asAccount(key)
    try {
      await fetch(url)
    } catch (error) {
      return error
    } finally {
      undo()
    }
    return assert.fail(`${url} was fetched`)
  }

  test('the servers of this test are well', async () => {
    const undo = servers.asAccount()
    try {
      for (const url of [servers.httpsUrl('repo'), servers.sshUrl('repo')]) await fetch(url)
    } finally {
      undo()
    }
  })

  for (const [what, { row, url, code = 'CLONE_FAILED', says, isPassing = false, key }] of Object.entries(
    FAILURES,
  )) {
    test(`${what}: ${code}, ${isPassing ? 'tried again' : 'final'}`, async () => {
      const asked = await url(servers)

      const error = await errorOf(asked, key)

      const told = error instanceof OutageError ? error.cause : error
      assert.ok(told instanceof DeployError, String(error))
      const lines = told.lastLines.join('\n')
      assert.equal(FETCH_FAILURES.find((one) => one.says.test(lines))?.name, row, lines)
      assert.deepEqual(
        { code: told.code, isPassing: error instanceof OutageError },
        { code, isPassing },
        lines,
      )
      assert.match(told.message, says)
      if (code === 'REPO_NOT_FOUND') assert.ok(told.message.startsWith(`${asked} ${ABSENT}`), told.message)
      assert.doesNotMatch(told.message, /Could not read from remote repository|expected 'packfile'/)
    })
  }

  test('each row of the table is met by one of these', () => {
    const met = new Set(Object.values(FAILURES).map(({ row }) => row))
    assert.deepEqual(
      FETCH_FAILURES.map(({ name }) => name).filter((name) => !met.has(name)),
      [],
    )
  })

  test('HEAD that names an absent branch is told from an empty repository, and the branches are named', async () => {
    const repository = new TestRepository({ 'a.txt': 'one' }, join(servers.root, 'headless'))
    repository.git('branch', 'feature/x')
    repository.git('symbolic-ref', 'HEAD', 'refs/heads/absent')
    const empty = new TestRepository({}, join(servers.root, 'empty'))
    empty.git('update-ref', '-d', 'HEAD')
    for (const urlOf of [(name: string) => servers.httpsUrl(name), (name: string) => servers.sshUrl(name)]) {
      const headless = (await errorOf(urlOf('headless'))) as DeployError
      assert.equal(headless.code, 'REF_NOT_FOUND')
      assert.match(headless.message, /no default branch .*set the app's branch to one of feature\/x, main: /)
      assert.match(
        ((await errorOf(urlOf('empty'))) as DeployError).message,
        /^the repository has no commit yet: /,
      )
    }
  })
})
