import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, describe, test } from 'node:test'
import { filterContext } from '../../src/engine/docker/build-context.js'
import type { Source } from '../../src/engine/git/git.js'
import { sourceOf } from '../../src/engine/git/mirror-source.js'
import type { Services } from '../../src/engine/services.js'
import type { DeploymentRun } from '../../src/engine/steps/deployment-run.js'
import { planBuild } from '../../src/engine/steps/plan-build.js'
import { TestRepository } from '../support/repository.js'
import { type BadEntry, blob, commitTree, entriesOf, tree } from '../support/trees.js'

const NEVER = new AbortController().signal
const MIB = 1024 * 1024
const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'4'.repeat(64)}\nsize 12345\n`

function sorted(entries: readonly BadEntry[]): BadEntry[] {
  return entries.toSorted(({ name: one }, { name: other }) => (one < other ? -1 : one > other ? 1 : 0))
}

/** Trees that no git would make: whoever pushes objects by hand can. */
describe('a commit that nobody should be able to make', () => {
  const homeDir = mkdtempSync(join(tmpdir(), 'longshore-poison-'))
  const repository = new TestRepository({})
  const file = blob(repository, 'text')
  const root = entriesOf(repository, { Dockerfile: 'FROM scratch\n' })
  after(() => {
    repository[Symbol.dispose]()
    rmSync(homeDir, { recursive: true, force: true })
  })

  let count = 0
  /** As of a mirror that has been fetched. */
  const sourceAt = (commit: string): Promise<Source> =>
    sourceOf(
      { path: join(repository.folder, '.git'), settings: { allowFileRepos: true, homeDir } },
      commit,
      NEVER,
    )
  /** Commits what is in the root with more entries, and plans its build. */
  async function plan(entries: readonly BadEntry[], limits: Partial<Services['settings']> = {}) {
    const commit = commitTree(repository, `b${count++}`, tree(repository, sorted([...root, ...entries])))
    const said: string[] = []
    const run = {
      configuration: { build: { contextPath: '.', dockerfilePath: 'Dockerfile', args: {} } },
      log: { system: (text: string) => void said.push(text) },
      signal: NEVER,
    } as unknown as DeploymentRun
    const services = { settings: { maxContextBytes: 1024 * MIB, maxContextFiles: 1_000, ...limits } }
    const source = await sourceAt(commit)
    const { sent, pointers } = await planBuild(run, source, services as unknown as Services)
    return { sent, pointers, said, source }
  }
  const entry = (name: string, mode: BadEntry['mode'] = '100644', id = file): BadEntry => ({ mode, name, id })
  const folder = (name: string, entries: readonly BadEntry[]) =>
    entry(name, '40000', tree(repository, entries))

  const shown = (path: string) => new RegExp(`^"${path.replace(/[.\\/~]/g, '\\$&')}" in the repository `)

  for (const name of ['..', '.', '/abs', '.git', '.GIT', 'git~1', '.git ', '.git:x', 'no-such-folder/x']) {
    test(`with the entry ${JSON.stringify(name)} is the user's to mend`, async () => {
      await assert.rejects(plan([folder('deep', [entry(name)])]), {
        code: 'REPO_INVALID',
        message: shown(`deep/${name}`),
      })
    })
  }

  test('with a folder .git or .. is as well, whatever is in it', async () => {
    for (const name of ['.git', '..']) {
      await assert.rejects(plan([folder(name, [entry('config')])]), {
        code: 'REPO_INVALID',
        message: shown(name),
      })
    }
  })

  test('with one path twice, or below what is no folder, is as well', async () => {
    await assert.rejects(plan([entry('a'), entry('a', '120000')]), {
      code: 'REPO_INVALID',
      message: /"a" .* twice/,
    })
    await assert.rejects(plan([entry('a', '120000'), entry('a/b')]), {
      code: 'REPO_INVALID',
      message: /"a\/b"/,
    })
    await assert.rejects(plan([entry('a', '120000'), folder('a', [])]), {
      code: 'REPO_INVALID',
      message: /"a"/,
    })
  })

  test('with a name, a path or a link that no system takes is as well, and costs next to nothing', async () => {
    const before = process.cpuUsage()
    const long = blob(repository, Buffer.alloc(40 * MIB, 'a'))
    await assert.rejects(plan([entry('link', '120000', long)]), {
      code: 'REPO_INVALID',
      message: /^"link" .* a symbolic link to a path of 41943040 bytes, more than the 4095/,
    })
    await assert.rejects(plan([entry('n'.repeat(256))]), {
      code: 'REPO_INVALID',
      message: /more than 255 bytes/,
    })
    await assert.rejects(plan([entry('n'.repeat(20 * MIB))]), { code: 'REPO_INVALID', message: /4095 bytes/ })
    let deep = folder('d'.repeat(250), [entry('file')])
    for (let depth = 0; depth < 17; depth++) deep = folder('d'.repeat(250), [deep])
    await assert.rejects(plan([deep]), { code: 'REPO_INVALID', message: /4095 bytes/ })
    assert.ok((await plan([entry('n'.repeat(255)), entry('é'.repeat(127))])).sent.size > 2)
    assert.ok(process.cpuUsage(before).user < 3_000_000, 'of this process')
  })

  test('as an archive ends with the same code, and never holds a long link', async () => {
    const long = blob(repository, Buffer.alloc(5 * MIB, 'a'))
    const dots = await sourceAt(commitTree(repository, 'dots', tree(repository, [entry('..')])))
    await assert.rejects(buffer(dots.archive('.', NEVER)), {
      code: 'REPO_INVALID',
      message: /invalid path '\.\.'/,
    })
    const link = await sourceAt(
      commitTree(repository, 'long', tree(repository, [entry('link', '120000', long)])),
    )
    const archive = link.archive('.', NEVER)
    await assert.rejects(
      pipeline(
        archive,
        filterContext(() => true),
        new PassThrough().resume(),
      ),
      {
        code: 'REPO_INVALID',
        message: /symbolic link target .* too long/,
      },
    )
  })

  test('that unpacks to more than may be is refused with the setting and the largest file', async () => {
    const zeros = blob(repository, Buffer.alloc(3 * MIB))
    const many = Array.from({ length: 4 }, (_, index) => entry(`zeros${index}`, '100644', zeros))
    const limits = { maxContextBytes: 10 * MIB }
    await assert.rejects(plan(many, limits), {
      code: 'CONTEXT_TOO_LARGE',
      message:
        /unpacks to 13 MiB, more than 10 MiB \(MAX_CONTEXT_MIB\); its largest file is "zeros0" \(3 MiB\)/,
    })
    const ignore = blob(repository, 'zeros3\n')
    const { sent } = await plan([entry('.dockerignore', '100644', ignore), ...many], limits)
    assert.deepEqual([...sent.keys()], ['.dockerignore', 'Dockerfile', 'zeros0', 'zeros1', 'zeros2'])
  })

  test('of a few small trees that are billions of files is refused at the limit', async () => {
    let bomb = Array.from({ length: 10 }, (_, index) => entry(`f${index}`))
    for (let level = 0; level < 10; level++) {
      const id = tree(repository, bomb)
      bomb = Array.from({ length: 10 }, (_, index) => entry(`d${index}`, '40000', id))
    }
    await assert.rejects(plan(bomb, { maxContextFiles: 5_000 }), {
      code: 'CONTEXT_TOO_LARGE',
      message: /more than 5000 files and folders \(MAX_CONTEXT_FILES\)/,
    })
  })

  test('has folders of other repositories, which the log names', async () => {
    const { said, sent } = await plan([entry('vendor', '160000')])
    assert.equal(sent.get('vendor')?.kind, 'submodule')
    assert.match(said.join(), /^Warning: .* without an entry in \.gitmodules .*: vendor$/)

    const ignore = entry('.dockerignore', '100644', blob(repository, 'vendor\n'))
    assert.deepEqual((await plan([ignore, entry('vendor', '160000')])).said, [])
  })

  test('has pointers of LFS, whose objects stand in their places, in size as well', async () => {
    const oid = '4'.repeat(64)
    const pointer = blob(repository, POINTER)
    const pictures = ['a.png', 'b.png'].map((name) => entry(name, '100644', pointer))
    const { sent, pointers } = await plan(pictures)
    assert.deepEqual(pointers, [
      { path: 'a.png', oid, size: 12345 },
      { path: 'b.png', oid, size: 12345 },
    ])
    assert.deepEqual([sent.get('b.png')?.size, sent.get('b.png')?.id], [12345, `lfs:${oid}`])
    await assert.rejects(plan(pictures, { maxContextBytes: 20_000 }), { code: 'CONTEXT_TOO_LARGE' })

    const none = [`A pointer is:\n${POINTER}`, POINTER.replace('size', 'bulk'), POINTER.replace('444', '44')]
    const quoting = none.map((text, index) => entry(`n${index}`, '100644', blob(repository, text)))
    const ignore = entry('.dockerignore', '100644', blob(repository, '*.png\nDockerfile\n'))
    assert.deepEqual((await plan([ignore, ...quoting, ...pictures])).pointers, [])

    const crlf = blob(repository, POINTER.replaceAll('\n', '\r\n'))
    assert.equal((await plan([entry('crlf.png', '100644', crlf)])).pointers.length, 1)
    await assert.rejects(plan([entry('.dockerignore', '100644', pointer)]), { code: 'DOCKERIGNORE_INVALID' })
  })
})
