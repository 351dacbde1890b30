import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { BuildOutput } from '../../src/engine/docker/docker.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { contextOf } from '../../src/engine/steps/build-context.js'
import type { Services } from '../../src/engine/services.js'
import type { DeploymentRun } from '../../src/engine/steps/deployment-run.js'
import { planBuild } from '../../src/engine/steps/plan-build.js'
import { SILENT } from '../support/build-output.js'
import { type Engines, openEngines } from '../support/docker-engines.js'
import { generationOf } from '../support/fake-docker/generations.js'
import { BASE_IMAGE, freshStep, TestRepository } from '../support/repository.js'

const NEVER = new AbortController().signal
const LIST = `cd /context; busybox find . -mindepth 1 -exec busybox stat -c "FILE %A %n" {} +; busybox find . -type f -name "*.md" -exec busybox md5sum {} +`

/** Lists what it copies, with the modes that it has in the image. */
function listing(): string {
  return `FROM ${BASE_IMAGE}\nCOPY . /context\nRUN ${JSON.stringify(['/bin/busybox', 'sh', '-c', freshStep(LIST)])}\n`
}

/** What the Docker command line makes of the same checkout, with either builder. */
describe('what a build copies', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longshore-build-files-'))
  const git = createGitBinary({
    dataDir,
    allowFileRepos: true,
    timeoutMs: 300_000,
    maxRepoBytes: 500 * 1024 * 1024,
  })
  let engines: Engines
  before(async () => {
    engines = await openEngines()
  })
  const generation = async () =>
    generationOf((await engines.real.call('GET', '/version')).json<{ Version: string }>().Version)
  const messageOf = (error: unknown) => (error as Error).message
  after(async () => {
    await engines[Symbol.asyncDispose]()
    rmSync(dataDir, { recursive: true, force: true })
  })

  interface Options {
    readonly builder: 'classic' | 'buildkit'
    readonly dockerfilePath?: string
    readonly contextPath?: string
    readonly limits?: Partial<Services['settings']>
  }

  /** Plans and builds a repository's HEAD; gives what is copied, and what the log says. */
  async function build(repository: TestRepository, options: Options) {
    const { builder, dockerfilePath = 'Dockerfile', contextPath = '.' } = options
    const said: string[] = []
    const written: string[] = []
    const output: BuildOutput = {
      ...SILENT,
      bytes: ({ bytes }) => Promise.resolve(void written.push(bytes.toString())),
    }
    const run = {
      configuration: { build: { contextPath, dockerfilePath, args: {} } },
      log: { system: (text: string) => void said.push(text) },
      signal: NEVER,
    } as unknown as DeploymentRun
    const settings = { maxContextBytes: 1024 ** 3, maxContextFiles: 1_000, ...options.limits }
    const services = { settings } as unknown as Services
    const request = {
      repoUrl: repository.url,
      credential: null,
      ref: null,
      deploymentId: `d${Math.random()}`,
      onProgress: () => undefined,
    }
    const source = await git.fetch(request, NEVER)
    const plan = await planBuild(run, source, services)
    const engine = engines.real
    await engine.port(builder).build(
      {
        context: contextOf(contextPath, plan),
        dockerfile: plan.dockerfileName,
        tag: `${engine.mark}:files`,
        labels: engine.labels,
        output,
        ...{ noCache: false, target: null, args: {}, platform: null, secrets: new Map<string, string>() },
      },
      NEVER,
    )
    const lines = written.join('').split('\n')
    const files = lines.filter((line) => line.startsWith('FILE ')).map((line) => line.slice('FILE '.length))
    const sums = lines.filter((line) => /^[0-9a-f]{32} /.test(line)).map((line) => line.split(/\s+\.\//))
    return { files: files.sort(bySecond), sums: new Map(sums.map(([sum, name]) => [name, sum])), said }
  }
  const bySecond = (one: string, other: string) =>
    (one.split(' ')[1] ?? '') < (other.split(' ')[1] ?? '') ? -1 : 1
  const names = (files: readonly string[]) => files.map((line) => line.split(' ')[1])

  for (const builder of ['buildkit', 'classic'] as const) {
    describe(`with ${builder}`, () => {
      test('has nothing of a Dockerfile outside of it', async () => {
        using repository = new TestRepository({ 'docker/Dockerfile': listing(), 'web/a.md': 'a' })
        const options = { builder, contextPath: 'web', dockerfilePath: '../docker/Dockerfile' }
        assert.deepEqual(names((await build(repository, options)).files), ['./a.md'])
      })

      test('has the modes, links and folders of a checkout, whatever order names are in', async () => {
        const texts = {
          'a.md': 'text a.md\n',
          'a/b/c.md': 'text a/b/c.md\n',
          'a-b.md': 'text a-b.md\n',
          'é/ü 1.md': 'text with other letters\n',
          'big.md': `text ${'x'.repeat(3_000_000)}\n`,
        }
        using repository = new TestRepository({ ...texts, Dockerfile: listing(), empty: '', 'a/run': 'x' })
        chmodSync(join(repository.folder, 'a/run'), 0o775)
        chmodSync(join(repository.folder, 'empty'), 0o600)
        repository.link('a/link', '../Dockerfile')
        repository.link('out', '/etc/passwd')
        repository.commit({})
        const { files, sums } = await build(repository, { builder })
        assert.deepEqual(files, [
          '-rw-r--r-- ./Dockerfile',
          'drwxr-xr-x ./a',
          '-rw-r--r-- ./a-b.md',
          '-rw-r--r-- ./a.md',
          'drwxr-xr-x ./a/b',
          '-rw-r--r-- ./a/b/c.md',
          'lrwxrwxrwx ./a/link',
          '-rwxr-xr-x ./a/run',
          '-rw-r--r-- ./big.md',
          '-rw-r--r-- ./empty',
          'lrwxrwxrwx ./out',
          'drwxr-xr-x ./é',
          '-rw-r--r-- ./é/ü 1.md',
        ])
        for (const [name, text] of Object.entries(texts)) {
          assert.equal(sums.get(name), createHash('md5').update(text).digest('hex'), name)
        }
      })

      test('has names that are not UTF-8 as they are', async () => {
        const look = freshStep(`test -e "/context/$(printf 'ol\\351/caf\\351.md')"`)
        const run = `RUN ${JSON.stringify(['/bin/busybox', 'sh', '-c', look])}\n`
        using repository = new TestRepository({ Dockerfile: `FROM ${BASE_IMAGE}\nCOPY . /context\n${run}` })
        const folder = Buffer.from(`${repository.folder}/ol\xe9`, 'latin1')
        mkdirSync(folder)
        writeFileSync(Buffer.concat([folder, Buffer.from('/caf\xe9.md', 'latin1')]), 'x')
        repository.commit({})
        const refused = await build(repository, { builder }).then(() => null, messageOf)
        if (builder !== 'buildkit' || (await generation()) === '20.10') return assert.equal(refused, null)
        return assert.match(refused ?? '', /accepts only UTF-8 file names: rename ol\S+, list it in/)
      })

      test('leaves out what is ignored, the Dockerfile and the ignore file too', async () => {
        const files = { Dockerfile: listing(), 'index.html': 'page', '.env': 'SECRET=1', 'x/y': 'z' }
        const tries: [ignore: string, left: string[]][] = [
          ['*\n!index.html\n', ['./index.html']],
          ['.env\nDockerfile\n', ['./.dockerignore', './index.html', './x', './x/y']],
          ['.dockerignore\n**/y\n', ['./.env', './Dockerfile', './index.html', './x']],
          ['*\n!x/y\n!.dockerignore\n', ['./.dockerignore', './x', './x/y']],
        ]
        for (const [ignore, left] of tries) {
          using repository = new TestRepository({ ...files, '.dockerignore': ignore })
          assert.deepEqual(names((await build(repository, { builder })).files), left, ignore)
        }
      })

      test('takes an ignore file of any number of lines', async () => {
        const lines = Array.from({ length: 1_000 }, (_, index) => `ignored/${index}\n`)
        const files = { Dockerfile: listing(), 'ignored/7': 'x', 'ignored/1000': 'x' }
        using repository = new TestRepository({ ...files, '.dockerignore': lines.join('') })
        const left = ['./.dockerignore', './Dockerfile', './ignored', './ignored/1000']
        assert.deepEqual(names((await build(repository, { builder })).files), left)
      })

      test('goes by the ignore file of its Dockerfile, where there is one', async () => {
        const all = {
          'docker/prod': listing(),
          'docker/prod.dockerignore': 'docker\n.env\n.dockerignore\n',
          '.dockerignore': 'index.html\n',
          'index.html': 'page',
          '.env': 'SECRET=1',
        }
        using repository = new TestRepository(all)
        const options = { builder, dockerfilePath: 'docker/prod' }
        const first = names((await build(repository, options)).files)
        assert.deepEqual(
          first.filter((name) => name !== './docker'),
          ['./index.html'],
        )
        repository.commit({ 'docker/prod.dockerignore': '.env\n.dockerignore\n', Dockerfile: 'x' })
        const left = [
          './Dockerfile',
          './docker',
          './docker/prod',
          './docker/prod.dockerignore',
          './index.html',
        ]
        assert.deepEqual(names((await build(repository, options)).files), left)
      })

      test('follows an ignore file that is a link inside the context', async () => {
        const ways: [path: string, target: string][][] = [
          [['.dockerignore', 'config/real']],
          [
            ['.ignored', './config/../config/real'],
            ['.dockerignore', '.ignored'],
          ],
        ]
        for (const links of ways) {
          const ignore = '.env\netc\n.ignored\n'
          using repository = new TestRepository({
            Dockerfile: listing(),
            'etc/real': ignore,
            '.env': 'SECRET=1',
          })
          repository.link('config', 'etc')
          for (const [path, target] of links) repository.link(path, target)
          repository.commit({})
          const { files } = await build(repository, { builder })
          assert.deepEqual(names(files), ['./.dockerignore', './Dockerfile', './config'])
        }
      })
    })
  }

  test('is nothing where an ignore file cannot be followed', async () => {
    for (const target of [
      '../outside',
      '/etc/passwd',
      'nowhere',
      '.dockerignore',
      'folder',
      'Dockerfile/x',
    ]) {
      using repository = new TestRepository({
        Dockerfile: listing(),
        'web/Dockerfile': listing(),
        'folder/x': '',
      })
      repository.link('.dockerignore', target)
      repository.link('web/.dockerignore', '../folder/x')
      repository.commit({})
      await assert.rejects(build(repository, { builder: 'buildkit' }), {
        code: 'DOCKERIGNORE_INVALID',
        message: /^\.dockerignore is a symbolic link that leads to no file of the context/,
      })
      await assert.rejects(build(repository, { builder: 'buildkit', contextPath: 'web' }), {
        code: 'DOCKERIGNORE_INVALID',
        message: /^web\/\.dockerignore is a symbolic link/,
      })
    }
    using repository = new TestRepository({ Dockerfile: listing(), '.dockerignore/x': '' })
    await assert.rejects(build(repository, { builder: 'buildkit' }), {
      message: /^\.dockerignore is a folder/,
    })
  })
})
