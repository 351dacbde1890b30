import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { after, before, beforeEach, describe, test } from 'node:test'
import { readCaFile, writeCaBundle } from '../../src/engine/git/ca-bundle.js'
import { createGitBinary, type GitBinaryOptions } from '../../src/engine/git/git-binary.js'
import type { RepositoryCredential, Source } from '../../src/engine/git/git.js'
import { sizeOf } from '../../src/engine/git/mirror-size.js'
import { OutageError } from '../../src/engine/errors.js'
import type { Services } from '../../src/engine/services.js'
import { contextOf } from '../../src/engine/steps/build-context.js'
import type { DeploymentRun } from '../../src/engine/steps/deployment-run.js'
import { planBuild } from '../../src/engine/steps/plan-build.js'
import { GitServers, LOGIN, missingGitServers } from '../support/git-servers.js'
import { LfsServer, missingGitLfs, oidOf, pushWithLfs } from '../support/lfs-server.js'
import { TestRepository } from '../support/repository.js'

const NEVER = new AbortController().signal
const TOKEN: RepositoryCredential = { kind: 'TOKEN', username: LOGIN.user, token: LOGIN.password }
const PICTURE = 'a picture '.repeat(30_000)
const LONG_PATH = `${'folder/'.repeat(15)}two.png`
const POINTER = { path: 'one.png', oid: oidOf(PICTURE), size: PICTURE.length }

/** Pushed by git-lfs to a server with TLS of a CA of its own and a password. */
describe('files that Git LFS keeps', { skip: missingGitServers() || missingGitLfs() }, () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longshore-lfs-'))
  let servers: GitServers
  let lfs: LfsServer
  let options: GitBinaryOptions
  let hrefOf: LfsServer['hrefOf']

  before(async () => {
    servers = await GitServers.start()
    lfs = new LfsServer(servers)
    hrefOf = lfs.hrefOf
    const files = { Dockerfile: 'FROM scratch\n', 'a.txt': 'text' }
    const repository = new TestRepository(files, join(servers.root, 'private/code'))
    const pictures = { 'one.png': PICTURE, [LONG_PATH]: 'another picture', 'left.png': 'left out' }
    await pushWithLfs(servers, repository, { path: 'private/code', pattern: '*.png', files: pictures })
    repository.commit({ '.dockerignore': 'left.png\n' })
    const caBundle = join(dataDir, 'ca.pem')
    await writeCaBundle(caBundle, await readCaFile(join(servers.folder, 'ca/ca.pem')))
    options = { dataDir, allowFileRepos: true, caBundle, timeoutMs: 60_000, maxRepoBytes: 1024 ** 2 }
    const request = { repoUrl: url(), credential: TOKEN, ref: 'main', deploymentId: 'd' }
    source = await createGitBinary(options).fetch({ ...request, onProgress: () => undefined }, NEVER)
  })
  after(async () => {
    await servers[Symbol.asyncDispose]()
    rmSync(dataDir, { recursive: true, force: true })
  })
  beforeEach(() => {
    lfs.seen.length = 0
    lfs.fault = () => false
    lfs.hrefOf = hrefOf
  })

  let source: Source
  const url = () => servers.httpsUrl('private/code')
  const mirror = () => {
    const [name = ''] = readdirSync(join(dataDir, 'mirrors')).filter((one) => one.endsWith('.git'))
    return join(dataDir, 'mirrors', name)
  }
  const stored = () => (existsSync(join(mirror(), 'lfs')) ? readdirSync(join(mirror(), 'lfs')) : [])
  const fetchLfs = (pointers = [POINTER], more: Partial<GitBinaryOptions> = {}, credential = TOKEN) =>
    createGitBinary({ ...options, ...more }).fetchLfs({ repoUrl: url(), credential, pointers }, NEVER)
  const forget = () => rmSync(join(mirror(), 'lfs'), { recursive: true, force: true })

  async function plan() {
    const run = {
      configuration: { build: { contextPath: '.', dockerfilePath: 'Dockerfile', args: {} } },
      log: { system: () => undefined },
      signal: NEVER,
    } as unknown as DeploymentRun
    const services = { settings: { maxContextBytes: 1024 ** 2, maxContextFiles: 100 } }
    return planBuild(run, source, services as unknown as Services)
  }

  test('are in the build in place of their pointers, with either builder, and only those that it takes', async () => {
    const planned = await plan()
    assert.deepEqual(planned.pointers.map(({ path }) => path).sort(), [LONG_PATH, 'one.png'].sort())
    await fetchLfs([...planned.pointers])
    assert.deepEqual(stored().sort(), planned.pointers.map(({ oid }) => oid).sort())
    const context = contextOf('.', planned)
    const entry = context.entries.find(({ path }) => path === LONG_PATH)
    assert.equal(entry?.size, 'another picture'.length)
    using contents = context.contents(NEVER)
    assert.equal(await text(contents.read(entry.id)), 'another picture')

    const folder = join(dataDir, 'untarred')
    mkdirSync(folder)
    execFileSync('tar', ['-x', '-C', folder], { input: await buffer(context.tar(NEVER)) })
    assert.equal(readFileSync(join(folder, 'one.png'), 'utf8'), PICTURE)
    assert.equal(readFileSync(join(folder, LONG_PATH), 'utf8'), 'another picture')
    assert.equal(readFileSync(join(folder, 'a.txt'), 'utf8'), 'text')
    assert.ok(!existsSync(join(folder, 'left.png')))
  })

  test('are fetched once, counted with their mirror, and removed when nobody takes them for a week', async () => {
    forget()
    const before = await sizeOf(mirror())
    await fetchLfs([POINTER, { ...POINTER, path: 'copy.png' }])
    assert.equal((await sizeOf(mirror())) - before, PICTURE.length)
    const asked = [`POST batch by somebody`, `GET /private/lfs-objects/${POINTER.oid} by somebody`]
    assert.deepEqual(lfs.seen, asked)
    await fetchLfs()
    assert.deepEqual(lfs.seen, asked)
    const longAgo = new Date(Date.now() - 8 * 24 * 60 * 60_000)
    utimesSync(join(mirror(), 'lfs', POINTER.oid), longAgo, longAgo)
    const other = { path: 'two.png', oid: oidOf('another picture'), size: 15 }
    await fetchLfs([other])
    assert.deepEqual(stored(), [other.oid])
  })

  test('are asked for with the credential at its origin only', async () => {
    const elsewhere = await servers.relayTo(servers.ports.https)
    forget()
    lfs.hrefOf = (oid) => servers.httpsUrl(`lfs-objects/${oid}`, elsewhere)
    await fetchLfs()
    lfs.hrefOf = hrefOf
    lfs.fault = ({ url: path = '' }, response) => {
      if (!path.startsWith('/private/lfs-objects/')) return false
      response.writeHead(302, { location: servers.httpsUrl(`lfs-objects/${POINTER.oid}`, elsewhere) }).end()
      return true
    }
    forget()
    await fetchLfs()
    assert.deepEqual(
      lfs.seen.filter((line) => line.startsWith('GET /lfs-objects/')),
      Array.from({ length: 2 }, () => `GET /lfs-objects/${POINTER.oid} by nobody`),
    )
  })

  const answer =
    (status: number, body = '') =>
    (_: IncomingMessage, response: ServerResponse) => {
      response.writeHead(status).end(body)
      return true
    }
  const onObject = (fault: LfsServer['fault']): LfsServer['fault'] => {
    return (request, response) => request.method === 'GET' && fault(request, response)
  }
  const hangs = onObject((_, response) => {
    response.writeHead(200).write('some')
    return true
  })
  const batchOf = (object: object) =>
    answer(200, JSON.stringify({ objects: [{ oid: POINTER.oid, ...object }] }))
  const at = (href: string, header = {}) => batchOf({ actions: { download: { href, header } } })
  const FAULTS: Record<string, [fault: LfsServer['fault'], says: RegExp, isPassing?: boolean]> = {
    'other content': [onObject(answer(200, PICTURE.replace('a', 'b'))), /"one\.png": .*SHA-256/],
    'less content': [onObject(answer(200, 'a picture')), /"one\.png": .*another size/],
    'more content': [onObject(answer(200, `${PICTURE}!`)), /"one\.png": .*another size/],
    'no object': [onObject(answer(404)), /"one\.png": .*HTTP 404/],
    'an object it lost': [
      batchOf({ error: { code: 404, message: 'Object does not exist' } }),
      /"one\.png": its object is not on the LFS server \(Object does not exist\): push it \(git lfs push --all\)/,
    ],
    'no address': [batchOf({}), /"one\.png".*gives no address/],
    'another object': [batchOf({ oid: 'other' }), /"one\.png".*gives no address/],
    'an address of http': [at('http://127.0.0.1/'), /not https:/],
    'an address of a file': [at('file:///etc/passwd'), /not https:/],
    'a header that splits': [at('https://127.0.0.1/', { 'x-a': 'a\r\nb: c' }), /no request can have/],
    'a page': [answer(200, '<html>'), /does not answer as an LFS server/],
    'nothing of LFS': [
      answer(404),
      /"one\.png": .*HTTP 404: it has no Git LFS, or its token may lack access/,
    ],
    'redirects without end': [
      (request, response) => !!response.writeHead(302, { location: request.url }).end(),
      /redirects without end/,
    ],
    'a redirect to http': [
      (_, response) => !!response.writeHead(302, { location: 'http://127.0.0.1/' }).end(),
      /not https:/,
    ],
    'an error of its own': [answer(500), /"one\.png": .*fails \(HTTP 500\)/, true],
    'too much work': [onObject(answer(429)), /"one\.png": .*HTTP 429/, true],
    'an end in the middle': [
      onObject((_, response) => {
        response.writeHead(200, { 'content-length': PICTURE.length })
        response.write('some', () => response.destroy())
        return true
      }),
      /no answer from/,
      true,
    ],
    silence: [hangs, /sent nothing for 0\.5 s \(FETCH_SILENCE_TIMEOUT\)/, true],
  }
  test('are never what a server sends that has something else', async (t) => {
    for (const [name, [fault, says, isPassing = false]] of Object.entries(FAULTS)) {
      await t.test(name, async () => {
        forget()
        lfs.fault = fault
        const silenceMs = name === 'silence' ? 500 : 60_000
        await assert.rejects(fetchLfs([POINTER], { silenceMs }), (error: Error & { code?: string }) => {
          assert.match(error.message, says)
          assert.equal(error instanceof OutageError, isPassing)
          assert.equal(error.code, name === 'silence' ? 'CLONE_TIMEOUT' : 'LFS_UNAVAILABLE')
          assert.doesNotMatch(error.message, new RegExp(LOGIN.password))
          return true
        })
        assert.deepEqual(stored(), [])
      })
    }
  })

  test('are refused with what to do where they cannot be had', async () => {
    const git = createGitBinary(options)
    const refused = (repoUrl: string, credential: RepositoryCredential | null, more = {}) =>
      createGitBinary({ ...options, ...more }).fetchLfs({ repoUrl, credential, pointers: [POINTER] }, NEVER)
    forget()
    await assert.rejects(refused(url(), null), {
      code: 'LFS_UNAVAILABLE',
      message: /"one\.png": .*HTTP 401.*needs a token: setRepositoryToken/,
    })
    await assert.rejects(refused(url(), TOKEN, { maxRepoBytes: 1000 }), {
      code: 'REPO_TOO_LARGE',
      message: /MAX_REPO_MIB.*"one\.png"/,
    })
    await assert.rejects(refused(url(), TOKEN, { caBundle: null }), {
      code: 'LFS_UNAVAILABLE',
      message: /certificate.*GIT_CA_FILE/,
    })
    const repoUrl = `file://${join(servers.root, 'private/code')}`
    const request = { repoUrl, credential: null, ref: 'main', deploymentId: 'file' }
    await git.fetch({ ...request, onProgress: () => undefined }, NEVER)
    await assert.rejects(refused(repoUrl, null), {
      code: 'LFS_UNAVAILABLE',
      message: /"one\.png": .*HTTPS only: set the app's repoUrl to its https:\/\/ URL/,
    })
  })
})
