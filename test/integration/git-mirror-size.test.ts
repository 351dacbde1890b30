import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import type { Git } from '../../src/engine/git/git.js'
import { withMirrorLock } from '../../src/engine/git/mirror-lock.js'
import { TestRepository } from '../support/repository.js'

const NEVER = new AbortController().signal
const MIB = 1024 * 1024
const LARGE = 2 * MIB

describe('the size of mirrors', () => {
  let dataDir = ''
  let git: Git
  const repositories: TestRepository[] = []

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'longshore-mirrors-'))
    git = createGitBinary({ dataDir, allowFileRepos: true, timeoutMs: 300_000, maxRepoBytes: 500 * MIB })
  })
  afterEach(() => {
    rmSync(dataDir, { recursive: true, force: true })
    for (const repository of repositories.splice(0)) repository[Symbol.dispose]()
  })

  const large = () => ({ 'large.txt': randomBytes(LARGE / 2).toString('hex') })
  const repositoryOf = (files: Record<string, string>) => {
    const repository = new TestRepository(files)
    repositories.push(repository)
    return repository
  }
  const fetch = ({ url: repoUrl }: TestRepository, deploymentId: string) =>
    git.fetch({ repoUrl, credential: null, ref: null, deploymentId, onProgress: () => undefined }, NEVER)
  const ids =
    (...list: string[]) =>
    () =>
      Promise.resolve(new Set(list))
  const mirrors = () => readdirSync(join(dataDir, 'mirrors')).filter((name) => name.endsWith('.git'))
  const pathOf = (name: string) => join(dataDir, 'mirrors', name)
  const packs = (name: string) => {
    const folder = join(pathOf(name), 'objects/pack')
    const found = readdirSync(folder).filter((file) => file.endsWith('.pack'))
    return {
      count: found.length,
      bytes: found.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0),
    }
  }

  test('a mirror that is mostly garbage is packed anew, and what is kept can be read meanwhile and afterwards', async () => {
    const repository = repositoryOf({ ...large(), 'a.txt': 'one' })
    await fetch(repository, 'old')
    for (const id of ['older', 'newer']) {
      repository.commit(large())
      await fetch(repository, id)
    }
    const [mirror = ''] = mirrors()
    const before = packs(mirror)
    await git.shrink(Number.MAX_SAFE_INTEGER, ids())
    assert.deepEqual(packs(mirror), before, 'all of it is kept')

    repository.commit({ 'a.txt': 'two' })
    const source = await fetch(repository, 'kept')
    using contents = source.contents(NEVER)
    const [, entry] = await listOf(source.entries('.', NEVER))
    await git.sweep(ids('kept'))
    await git.shrink(Number.MAX_SAFE_INTEGER, ids('kept'))
    const after = packs(mirror)
    assert.equal(after.count, 1)
    assert.ok(after.bytes < before.bytes / 2, `${before.bytes} bytes became ${after.bytes}`)

    const read = await listOf(contents.read(entry?.id ?? ''))
    assert.equal(Buffer.concat(read).length, LARGE)
    execFileSync('git', ['-C', pathOf(mirror), 'fsck'], { stdio: 'pipe' })
    const head = repository.commit({ 'a.txt': 'three' })
    assert.equal((await fetch(repository, 'next')).commitSha, head)
    assert.ok(packs(mirror).bytes < after.bytes + 10_000, 'the next fetch brought what is new')
  })

  test('a mirror of which no commit is kept goes with its garbage', async () => {
    await fetch(repositoryOf(large()), 'gone')
    await git.sweep(ids())
    await git.shrink(Number.MAX_SAFE_INTEGER, ids())
    assert.deepEqual(mirrors(), [])
  })

  test('beyond the bound those go that were fetched from least recently, and none that is in use', async () => {
    const used: string[] = []
    for (const [index, id] of ['busy', 'fetched', 'old', 'new'].entries()) {
      await fetch(repositoryOf(large()), id)
      const name = mirrors().find((one) => !used.includes(one)) ?? ''
      used.push(name)
      const at = new Date(Date.now() - (10 - index) * 60_000)
      utimesSync(join(pathOf(name), 'FETCH_HEAD'), at, at)
    }
    const [busy = '', fetched = '', old = '', recent = ''] = used
    const one = packs(busy).bytes
    await withMirrorLock(pathOf(fetched), NEVER, async () => {
      await git.shrink(one * 5, ids('busy'))
      assert.equal(mirrors().length, 4, 'within the bound all stay')
      await git.shrink(one * 3.5, ids('busy'))
      assert.deepEqual(mirrors().sort(), [busy, fetched, recent].sort())
      await git.shrink(1, ids('busy'))
      assert.deepEqual(mirrors().sort(), [busy, fetched].sort())
    })
    assert.ok(!mirrors().includes(old))
    await git.shrink(1, ids())
    assert.deepEqual(mirrors(), [])
  })
})

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}
