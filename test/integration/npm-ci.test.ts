import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { writeTar } from '../support/fake-docker/tar.js'
import { INSTALLED_PACKAGES, SCRIPTS_FOLDER } from '../support/installed-packages.js'

const run = promisify(execFile)
const { isInstalled, markInstalled } = INSTALLED_PACKAGES
const OTHER = process.platform === 'darwin' ? 'linux' : 'darwin'

/** A project of tarballs, so that npm needs no registry. */
class Project implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'longshore-npm-'))

  file(path: string): string {
    return join(this.folder, path)
  }

  async npm(...args: string[]): Promise<void> {
    const quiet = ['--no-audit', '--no-fund', '--offline', `--cache=${this.file('cache')}`]
    await run('npm', [...args, ...quiet], { cwd: this.folder, env: ENV })
  }

  /** Makes the tarball of a package. */
  pack(name: string, version: string, more: object = {}): void {
    const tar = writeTar({ 'package/package.json': JSON.stringify({ name, version, ...more }) })
    writeFileSync(this.file(`${name}-${version}.tgz`), gzipSync(tar))
  }

  write(optional: Record<string, string> = {}): void {
    const text = JSON.stringify({
      name: 'project',
      version: '1.0.0',
      dependencies: { run: 'file:run-1.0.0.tgz' },
      devDependencies: { dev: 'file:dev-1.0.0.tgz' },
      optionalDependencies: { here: 'file:here-1.0.0.tgz', there: 'file:there-1.0.0.tgz', ...optional },
    })
    writeFileSync(this.file('package.json'), text)
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** What npm gives to what it runs would rule the npm that a test runs. */
const ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_ENV$/i.test(name)),
)

describe('after npm ci', () => {
  const project = new Project()
  after(() => project[Symbol.dispose]())
  before(async () => {
    for (const name of ['run', 'dev']) project.pack(name, '1.0.0')
    project.pack('here', '1.0.0', { os: [process.platform] })
    project.pack('there', '1.0.0', { os: [OTHER] })
    project.write()
    await project.npm('install', '--package-lock-only')
    await project.npm('ci')
    cpSync(project.file('node_modules'), project.file('whole'), { recursive: true })
  })
  beforeEach(() => {
    rmSync(project.file('node_modules'), { recursive: true, force: true })
    cpSync(project.file('whole'), project.file('node_modules'), { recursive: true })
  })

  test('all is there, also where it was copied to', () => {
    assert.equal(
      existsSync(project.file('node_modules/there')),
      false,
      'npm has left out what is of another machine',
    )
    assert.equal(isInstalled(project.folder, 'all'), true)
  })

  test('there is nothing until npm has finished', () => {
    rmSync(project.file('node_modules/.package-lock.json'))
    assert.equal(isInstalled(project.folder, 'all'), false)
    writeFileSync(project.file('node_modules/.package-lock.json'), '{"packages":{"node_modules/run":')
    assert.equal(isInstalled(project.folder, 'all'), false)
    rmSync(project.file('node_modules'), { recursive: true })
    assert.equal(isInstalled(project.folder, 'production'), false)
  })

  test('a package whose folder is gone, or empty, is missing', () => {
    rmSync(project.file('node_modules/run/package.json'))
    assert.equal(isInstalled(project.folder, 'all'), false)
  })

  test('another package-lock.json wants another installation', async () => {
    const lock = readFileSync(project.file('package-lock.json'), 'utf8')
    project.pack('more', '1.0.0')
    project.write({ more: 'file:more-1.0.0.tgz' })
    await project.npm('install', '--package-lock-only')
    assert.equal(isInstalled(project.folder, 'all'), false)
    await project.npm('ci')
    assert.equal(isInstalled(project.folder, 'all'), true)
    project.pack('more', '1.0.1')
    project.write({ more: 'file:more-1.0.1.tgz' })
    await project.npm('install', '--package-lock-only')
    assert.equal(isInstalled(project.folder, 'all'), false, 'npm says that it has installed it')
    project.write()
    writeFileSync(project.file('package-lock.json'), lock)
  })

  test('without what develops, there is what runs', async () => {
    await project.npm('ci', '--omit=dev')
    assert.equal(isInstalled(project.folder, 'production'), true)
    assert.equal(isInstalled(project.folder, 'all'), false)
  })

  test('what an npm ci of ours has left out is not asked for again, until something changes', async () => {
    await project.npm('ci', '--omit=optional')
    assert.equal(isInstalled(project.folder, 'all'), false)
    markInstalled(project.folder)
    assert.equal(isInstalled(project.folder, 'all'), true)
    rmSync(project.file('node_modules/run'), { recursive: true })
    assert.equal(isInstalled(project.folder, 'all'), false)
    await project.npm('ci', '--omit=optional', '--omit=dev')
    writeFileSync(project.file('node_modules/.longshore-lock'), 'of another installation')
    assert.equal(isInstalled(project.folder, 'all'), false)
  })
})

describe('a script', () => {
  const project = new Project()
  after(() => project[Symbol.dispose]())
  const log = project.file('npm.log')

  /** Stands for npm, so that it is seen whether, and how, it is called. */
  before(() => {
    cpSync(SCRIPTS_FOLDER, project.file('scripts'), { recursive: true })
    writeFileSync(project.file('npm-cli.mjs'), NPM)
    const packages = {
      '': {},
      'node_modules/run': { version: '1.0.0' },
      'node_modules/dev': { version: '1.0.0', dev: true },
    }
    writeFileSync(project.file('package-lock.json'), JSON.stringify({ packages }))
  })

  const ensure = async (need: string): Promise<string[]> => {
    rmSync(log, { force: true })
    const script = `await (await import('./scripts/lib/dependencies.mjs')).ensureDependencies('${need}')`
    const env = { ...ENV, npm_execpath: project.file('npm-cli.mjs'), LOG: log }
    const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: project.folder,
      env,
    })
    const [code] = (await once(child, 'exit')) as [number]
    assert.equal(code, 0)
    return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
  }

  test('installs what is missing, once, whatever the settings of npm leave out', async () => {
    const calls = await ensure('all')
    assert.equal(calls.length, 1)
    assert.match(calls[0] ?? '', /^ci --include=dev --include=optional\b/)
    assert.deepEqual(await ensure('all'), [])
    assert.deepEqual(await ensure('production'), [])
  })

  test('leaves what is there alone, whoever installed it', async () => {
    const here = (path: string) => project.file(`node_modules/${path}`)
    rmSync(here('.longshore-lock'))
    assert.deepEqual(await ensure('all'), [])
    rmSync(here('dev'), { recursive: true })
    writeFileSync(
      here('.package-lock.json'),
      JSON.stringify({ packages: { 'node_modules/run': { version: '1.0.0' } } }),
    )
    assert.deepEqual(await ensure('production'), [])
    assert.equal((await ensure('all')).length, 1)
  })
})

const NPM = `
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
appendFileSync(process.env.LOG, process.argv.slice(2).join(' ') + '\\n')
const { '': root, ...packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages
rmSync('node_modules', { recursive: true, force: true })
for (const path of Object.keys(packages)) {
  mkdirSync(path, { recursive: true })
  writeFileSync(path + '/package.json', JSON.stringify(packages[path]))
}
writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }))
`
