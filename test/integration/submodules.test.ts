import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { after, describe, test } from 'node:test'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import type { FetchRequest, Git, RepositoryCredential } from '../../src/engine/git/git.js'
import type { Services } from '../../src/engine/services.js'
import { contextOf } from '../../src/engine/steps/build-context.js'
import type { DeploymentRun } from '../../src/engine/steps/deployment-run.js'
import { planBuild } from '../../src/engine/steps/plan-build.js'
import { TestRepository } from '../support/repository.js'

const NEVER = new AbortController().signal

/** Real repositories over file://, of which one has the others in it. */
describe('submodules', () => {
  const root = mkdtempSync(join(tmpdir(), 'longshore-submodules-'))
  const dataDir = join(root, 'data')
  const git = createGitBinary({ dataDir, allowFileRepos: true, timeoutMs: 60_000, maxRepoBytes: 1024 ** 2 })
  const make = (name: string, files = {}) => new TestRepository(files, join(root, name))
  const leaf = make('leaf', { 'leaf.txt': 'of the leaf' })
  const lib = make('lib', { 'lib.txt': 'of the library', [`${'long/'.repeat(25)}name`]: 'far' })
  after(() => rmSync(root, { recursive: true, force: true }))

  /** Commits a folder that refers to another repository's HEAD. */
  function add(to: TestRepository, path: string, { url, id }: { url: string; id: string }): void {
    to.git('config', '-f', '.gitmodules', `submodule.${path}.path`, path)
    to.git('config', '-f', '.gitmodules', `submodule.${path}.url`, url)
    to.git('add', '.gitmodules')
    to.git('update-index', '--add', '--cacheinfo', `160000,${id},${path}`)
    to.git('commit', '--quiet', '-m', 'add a submodule')
  }
  const headOf = (repository: TestRepository) => repository.git('rev-parse', 'HEAD')

  async function plan(
    repository: TestRepository,
    more: { contextPath?: string; git?: Git; url?: string } = {},
  ) {
    const { contextPath = '.' } = more
    const said: string[] = []
    const run = {
      app: { id: 'app', repoUrl: more.url ?? repository.url },
      deployment: { id: 'd' },
      configuration: { build: { contextPath, dockerfilePath: 'Dockerfile', args: {} } },
      log: { system: (line: string) => void said.push(line), hide: () => undefined },
      signal: NEVER,
    } as unknown as DeploymentRun
    const sealed = { kind: 'TOKEN', username: 'me', sealed: 'token' }
    const services = {
      database: { query: () => Promise.resolve(more.url ? [sealed] : []) },
      secrets: { decrypt: (value: string) => value },
      git: more.git ?? git,
      settings: {
        maxContextBytes: 1024 ** 2,
        maxContextFiles: 100,
        fetchRetryMs: 0,
        allowFileRepos: !more.url,
      },
    } as unknown as Services
    const request = { repoUrl: repository.url, credential: null, ref: null, deploymentId: 'd' }
    const source = await git.fetch({ ...request, onProgress: () => undefined }, NEVER)
    return { planned: await planBuild(run, source, services), said }
  }

  test('are in the build at their commits, nested ones as well, with either builder', async () => {
    lib.link('link', 'lib.txt')
    lib.commit({})
    add(lib, 'inner', { url: '../leaf', id: headOf(leaf) })
    const app = make('app', {
      Dockerfile: 'FROM scratch\n',
      'sub/a.txt': 'own',
      'sub/Dockerfile': 'FROM x\n',
    })
    add(app, 'sub/vendor', { url: '../lib', id: headOf(lib) })
    lib.commit({ 'later.txt': 'not of that commit' })

    for (const [contextPath, at] of [
      ['.', 'sub/vendor'],
      ['sub', 'vendor'],
    ] as const) {
      const { planned, said } = await plan(app, { contextPath })
      assert.match(
        said.join('\n'),
        new RegExp(`^Fetching the submodule ${at} from ${lib.url} at [0-9a-f]{40}$`, 'm'),
      )
      assert.equal(planned.sent.get(at)?.kind, 'folder')
      assert.ok(!planned.sent.has(`${at}/later.txt`))
      const context = contextOf(contextPath, planned)
      using contents = context.contents(NEVER)
      const entry = context.entries.find(({ path }) => path === `${at}/inner/leaf.txt`)
      assert.equal(await text(contents.read(entry?.id ?? '')), 'of the leaf')

      const folder = join(root, `untarred-${at.replace('/', '-')}`)
      mkdirSync(folder)
      execFileSync('tar', ['-x', '-C', folder], { input: await buffer(context.tar(NEVER)) })
      const file = (path: string) => readFileSync(join(folder, at, path), 'utf8')
      assert.equal(file('inner/leaf.txt'), 'of the leaf')
      assert.equal(file('lib.txt'), 'of the library')
      assert.equal(file(`${'long/'.repeat(25)}name`), 'far')
      assert.equal(readlinkSync(join(folder, at, 'link')), 'lib.txt')
      assert.equal(readFileSync(join(folder, at, '../a.txt'), 'utf8'), 'own')
    }
    const mirrors = () => readdirSync(join(dataDir, 'mirrors')).filter((name) => name.endsWith('.git'))
    const none = () => Promise.resolve(new Set<string>())
    assert.equal(mirrors().length, 3)
    await git.sweep(() => Promise.resolve(new Set(['d'])))
    await git.prune(() => Promise.resolve(new Set([app.url])))
    assert.equal(mirrors().length, 3, 'no app names them, and a deployment needs them')
    await git.sweep(none)
    await git.prune(none)
    assert.deepEqual(mirrors(), [])
  })

  test('that cannot be read fail the deployment with their path and URL, unless the build leaves them out', async () => {
    const app = make('broken', { Dockerfile: 'FROM scratch\n' })
    add(app, 'gone', { url: '../no-such', id: headOf(leaf) })
    const url = `file://${join(root, 'no-such')}`
    await assert.rejects(plan(app), {
      code: 'SUBMODULE_UNAVAILABLE',
      message: new RegExp(`^the submodule "gone" from ${url} cannot be read: `),
    })
    add(app, 'gone', { url: 'ext::sh -c id', id: headOf(leaf) })
    await assert.rejects(plan(app), {
      code: 'SUBMODULE_UNAVAILABLE',
      message: /^the submodule "gone" from ext::sh -c id cannot be read: /,
    })
    add(app, 'gone', { url: 'https://me:s3cret@host/lib', id: headOf(leaf) })
    await assert.rejects(plan(app), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'SUBMODULE_UNAVAILABLE')
      return !error.message.includes('s3cret')
    })
    app.commit({ '.dockerignore': 'gone\n' })
    // `git add -A` has taken the folder out, which is not there.
    app.git('update-index', '--add', '--cacheinfo', `160000,${headOf(leaf)},gone`)
    app.git('commit', '--quiet', '-m', 'again')
    assert.ok(!(await plan(app)).planned.sent.has('gone'))
  })

  test('that are each other’s end at a depth', async () => {
    const loop = make('loop', { Dockerfile: 'FROM scratch\n' })
    for (let depth = 0; depth < 7; depth++) add(loop, 'again', { url: '../loop', id: headOf(loop) })
    await assert.rejects(plan(loop), {
      code: 'SUBMODULE_UNAVAILABLE',
      message: /"again(\/again){5}" .* at most 5 deep/,
    })
  })

  test('get the app’s credential on its own host only', async () => {
    const app = make('private', { Dockerfile: 'FROM scratch\n' })
    add(app, 'near', { url: '../near', id: headOf(leaf) })
    add(app, 'far', { url: 'https://other.example/far', id: headOf(leaf) })
    const asked = new Map<string, RepositoryCredential | null>()
    const fetch = (request: FetchRequest) => {
      asked.set(request.repoUrl, request.credential)
      return git.fetch({ ...request, repoUrl: leaf.url, credential: null }, NEVER)
    }
    await plan(app, { git: { ...git, fetch }, url: 'https://forge.example/me/app' })
    assert.deepEqual(Object.fromEntries(asked), {
      'https://forge.example/me/near': { kind: 'TOKEN', username: 'me', token: 'token' },
      'https://other.example/far': null,
    })
  })
})
