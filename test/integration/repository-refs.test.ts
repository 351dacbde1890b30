import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { RepositoryRefsCommands } from '../../src/engine/commands/repository-refs.js'
import { ForgeClient } from '../../src/engine/forges/forge-client.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import type { Git, Remote } from '../../src/engine/git/git.js'
import { RefsAnswerer } from '../../src/engine/repositories/refs-answerer.js'
import { createLogger } from '../../src/logger.js'
import type { ApiServer } from '../support/api-server.js'
import { COMMAND_SETTINGS, type TestProcess } from '../support/engine.js'
import { TestRepository } from '../support/repository.js'
import { until } from '../support/server.js'
import { useApi } from '../support/use-api.js'

const REFS = `query ($url: String!, $app: ID) {
  repositoryRefs(repoUrl: $url, appId: $app) { defaultBranch branches tags } }`

describe('the branches and tags of a repository, read by a worker for the API', () => {
  let process: TestProcess
  let api: ApiServer
  let answerer: RefsAnswerer
  const asked: Remote[] = []
  const dataDir = mkdtempSync(join(tmpdir(), 'longshore-refs-'))
  useApi((opened, used) => ([api, process] = [opened, used]))

  before(() => {
    const real = createGitBinary({
      dataDir,
      allowFileRepos: true,
      timeoutMs: 300_000,
      maxRepoBytes: 1024 ** 2,
    })
    const listRefs: Git['listRefs'] = (remote, signal) => {
      asked.push(remote)
      return real.listRefs(remote, signal)
    }
    const { database, wakeups, secrets } = process
    const settings = COMMAND_SETTINGS as never
    const services = {
      database,
      wakeups,
      secrets,
      settings,
      logger: createLogger('error'),
      git: { ...real, listRefs },
      forges: new ForgeClient(null, {}),
    }
    answerer = new RefsAnswerer(services, 'a-worker')
    answerer.start()
  })
  after(async () => {
    await answerer[Symbol.asyncDispose]()
    rmSync(dataDir, { recursive: true, force: true })
  })

  const commandsWithin = (timeoutMs: number) => {
    const { database, wakeups, secrets } = process
    return new RepositoryRefsCommands({ database, wakeups, secrets, settings: COMMAND_SETTINGS }, timeoutMs)
  }
  const refused = async (url: string, app: string | null = null) => {
    const { errors } = await api.post(REFS, { url, app })
    const { code, field = null } = errors?.[0]?.extensions ?? { code: '' }
    return { code, field, message: errors?.[0]?.message ?? '' }
  }
  const waiting = async () => (await process.database.query<unknown[]>('SELECT 1 FROM refs_request')).length

  test('are listed as a form offers them: what cannot be deployed is left out', async () => {
    using repository = new TestRepository({ 'a.txt': 'one' })
    const long = 'x'.repeat(248)
    for (const name of ['a-first', 'feature/10', 'feature/9', 'fix(ui)', long]) repository.git('branch', name)
    for (const name of ['v1.9.0', 'v1.10.0', 'v1.2.0']) repository.git('tag', name)
    const { data, errors } = await api.post(REFS, { url: repository.url })
    assert.equal(errors, undefined, JSON.stringify(errors))
    assert.deepEqual(data?.repositoryRefs, {
      defaultBranch: 'main',
      branches: ['main', 'a-first', 'feature/9', 'feature/10', 'fix(ui)'],
      tags: ['v1.10.0', 'v1.9.0', 'v1.2.0'],
    })
    assert.equal(await waiting(), 0)
  })

  test('are refused with the reason, as a deployment would be', async () => {
    const absent = await refused('file:///no/such/repository')
    assert.equal(absent.code, 'REPO_NOT_FOUND')
    assert.match(absent.message, /no\/such\/repository/)
    assert.deepEqual(
      [(await refused('nonsense')).code, (await refused('nonsense')).field],
      ['BAD_USER_INPUT', 'repoUrl'],
    )
    const pasted = await refused('https://me:s3cret@git.invalid/o/r.git')
    assert.equal(pasted.field, 'repoUrl')
    assert.match(pasted.message, /setRepositoryToken/)
    assert.doesNotMatch(pasted.message, /s3cret/)
    const unknown = await refused('https://git.invalid/o/r.git', 'nobody')
    assert.deepEqual([unknown.code, unknown.field], ['NOT_FOUND', 'appId'])
  })

  test('are asked for with the credential of an app, and of no other host', async () => {
    const { id } = await process.commands.apps.create({
      name: 'private',
      repoUrl: 'https://t0ken-s3cret@git.invalid/o/r.git',
      deploy: false,
    })
    asked.length = 0
    const same = await refused('https://git.invalid/o/other.git', id)
    assert.equal(same.code, 'CLONE_FAILED')
    assert.doesNotMatch(same.message, /s3cret/)
    const credential = { kind: 'TOKEN', username: null, token: 't0ken-s3cret' }
    assert.deepEqual(asked, [{ repoUrl: 'https://git.invalid/o/other.git', credential }])
    for (const url of [
      'https://evil.invalid/o/r.git',
      'https://git.invalid:8443/o/r.git',
      'git@git.invalid:o/r.git',
    ]) {
      const other = await refused(url, id)
      assert.deepEqual([other.code, other.field], ['BAD_USER_INPUT', 'repoUrl'], url)
      assert.match(other.message, /git\.invalid:443.*leave out appId/)
    }
    assert.equal(asked.length, 1)
  })

  test('are waited for no longer than said, and a server that hangs holds nobody else up', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(
      0,
      '127.0.0.1',
    )
    await once(silent, 'listening')
    const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/o/r.git`
    using repository = new TestRepository({ 'a.txt': 'one' })
    const connected = once(silent, 'connection')
    const hanging = assert.rejects(commandsWithin(3_000).list(url, null), { code: 'CLONE_TIMEOUT' })
    await connected
    assert.equal((await commandsWithin(60_000).list(repository.url, null)).defaultBranch, 'main')
    await hanging
    await until(async () => (await waiting()) === 0)
    silent.close()
  })

  test('are refused where no worker runs, and where too many wait', async () => {
    await answerer[Symbol.asyncDispose]()
    await assert.rejects(commandsWithin(200).list('https://git.invalid/o/r.git', null), { code: 'NO_WORKER' })
    await process.database.query(
      `INSERT INTO refs_request (id, repo_url, expires_at)
       SELECT 'full' || n, 'x', now() + interval '1 hour' FROM generate_series(1, 20) n`,
    )
    assert.equal((await refused('https://git.invalid/o/r.git')).code, 'QUEUE_FULL')
    await process.database.query(`UPDATE refs_request SET expires_at = now() - interval '1 second'`)
    await assert.rejects(commandsWithin(200).list('https://git.invalid/o/r.git', null), { code: 'NO_WORKER' })
  })
})
