import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import { filterContext } from '../../src/engine/docker/build-context.js'
import { ignoredOf } from '../../src/engine/docker/ignore-file.js'

interface Entry {
  readonly name: string
  readonly type?: 'file' | 'symlink' | 'link' | 'directory'
  readonly linkname?: string
}

/** Comes with dockerode, without types. */
const { pack } = createRequire(import.meta.url)('tar-stream') as {
  pack: () => Readable & { entry(header: Entry, content?: string): void; finalize(): void }
}

const scratch = mkdtempSync(join(tmpdir(), 'build-context-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

function tarOf(entries: readonly (string | Entry)[]): Promise<Buffer> {
  const tar = pack()
  for (const entry of entries) {
    if (typeof entry === 'string') tar.entry({ name: entry }, `content of ${entry}`)
    else tar.entry(entry, entry.type ? undefined : 'x')
  }
  tar.finalize()
  return buffer(tar)
}

async function filter(pieces: readonly Buffer[], ignore: string | null): Promise<Buffer> {
  const ignored = ignore === null ? new Set() : await ignoredIn(pieces, ignore)
  return pass(pieces, (path) => !ignored.has(path))
}

async function ignoredIn(pieces: readonly Buffer[], text: string): Promise<Set<string>> {
  const paths: string[] = []
  await pass([Buffer.concat(pieces)], (path) => paths.push(path) > 0)
  return ignoredOf(paths, { path: '.dockerignore', text })
}

async function pass(pieces: readonly Buffer[], keeps: (path: string) => boolean): Promise<Buffer> {
  const context = filterContext(keeps)
  const out = buffer(context)
  const [result] = await Promise.all([out, pipeline(Readable.from(pieces), context)])
  return result
}

/** Names as the tar program reads them. */
function list(tar: Buffer): string[] {
  const text = execFileSync('tar', ['-t', '--quoting-style=literal'], {
    input: tar,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  return text.toString('utf8').split('\n').filter(Boolean)
}

async function kept(entries: readonly (string | Entry)[], ignore: string | null) {
  return list(await filter([await tarOf(entries)], ignore))
}

/** A repository with these files, as `git archive` gives it. */
function gitArchive(
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
): Buffer {
  const folder = mkdtempSync(join(scratch, 'repo-'))
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args])
  git('init', '-q')
  for (const name of [...Object.keys(files), ...Object.keys(links)]) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    if (files[name] !== undefined) writeFileSync(join(folder, name), files[name])
    else symlinkSync(links[name] ?? '', join(folder, name))
  }
  git('add', '-A')
  git('-c', 'commit.gpgsign=false', 'commit', '-q', '-m', 'x')
  return git('archive', '--format=tar', 'HEAD')
}

const LONG = `${'folder/'.repeat(20)}${'n'.repeat(120)}é.txt`

describe('the build context', () => {
  test('without an ignore file is passed on byte for byte', async () => {
    const tar = await tarOf(['Dockerfile', 'a/b.txt', LONG])
    assert.deepEqual(await filter([tar], null), tar)
  })

  test('leaves out what the ignore file names, and negation takes back', async () => {
    const ignore = '# comment\nnode_modules\n*.md\n!README.md\n**/*.tmp\nsecret/\n'
    const names = [
      'Dockerfile',
      'node_modules/x/i.js',
      'a.md',
      'README.md',
      'src/x.tmp',
      'src/x.ts',
      'secret/k',
    ]
    assert.deepEqual(await kept(names, ignore), ['Dockerfile', 'README.md', 'src/x.ts'])
  })

  test('takes characters of names for themselves, escaped or not', async () => {
    const names = [
      'app/(internal)/x',
      'app/internal/x',
      'third_party/c++/x',
      'a{1}b',
      'aab',
      'x|y',
      'x',
      'c+d',
      'ccd',
    ]
    const ignore = 'app/(internal)\nthird_party/c++\n!third_party/c++/keep\na{1}b\nx|y\nc[+]d\n'
    assert.deepEqual(await kept(names, ignore), ['app/internal/x', 'aab', 'x', 'ccd'])
    assert.deepEqual(await kept(['a(b', 'a(c', 'a*d', 'axd'], 'a\\(b\na\\*d\r\na(c'), ['axd'])
  })

  test('keeps what is taken back below a folder that is left out', async () => {
    const entries = [{ name: 'dist/', type: 'directory' } as const, 'dist/keep', 'dist/drop']
    assert.deepEqual(await kept(entries, 'dist\n!dist/keep'), ['dist/keep'])
  })

  test('matches and keeps names of over 100 characters', async () => {
    for (const long of [LONG, `${'folder/'.repeat(18)}fits-the-prefix.txt`]) {
      assert.deepEqual(await kept(['first', long, 'last'], 'first'), [long, 'last'])
      assert.deepEqual(await kept(['first', long, 'last'], '**/*.txt'), ['first', 'last'])
      assert.deepEqual(await kept(['first', long, 'last'], `*\n!${long}`), [long])
    }
  })

  test('of a real repository is what tar reads, contents included', async () => {
    const files = {
      Dockerfile: 'FROM scratch\n',
      [LONG]: 'long',
      'drop/big': 'x'.repeat(3000),
      'keep/a': 'y'.repeat(1500),
    }
    const tar = await filter([gitArchive(files, { 'keep/link': '../Dockerfile' })], 'drop')
    const names = list(tar).filter((name) => !name.endsWith('/'))
    assert.deepEqual(names.sort(), ['Dockerfile', LONG, 'keep/a', 'keep/link'].sort())
    const contentOf = (name: string) => execFileSync('tar', ['-xO', name], { input: tar }).toString()
    assert.equal(contentOf('keep/a'), 'y'.repeat(1500))
    assert.equal(contentOf(LONG), 'long')
  })

  test('does not depend on the commit, only on the files', async () => {
    const tar = gitArchive({ Dockerfile: 'FROM scratch\n' })
    assert.ok(/comment=[0-9a-f]{40}/.test(tar.toString('latin1')))
    assert.ok(!(await filter([tar], null)).toString('latin1').includes('comment='))
  })

  test('is the same however the archive comes in pieces', async () => {
    const tar = await tarOf([
      'Dockerfile',
      'drop/x',
      LONG,
      { name: 'link', type: 'symlink', linkname: 'drop/x' },
      'z',
    ])
    const ignore = 'drop\n**/*é.txt'
    const whole = await filter([tar], ignore)
    assert.deepEqual(list(whole), ['Dockerfile', 'link', 'z'])
    const singles = [...tar].map((byte) => Buffer.from([byte]))
    assert.deepEqual(await filter(singles, ignore), whole)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: tar.length }), { minLength: 1, maxLength: 20 }),
        async (places) => {
          const ends = [...places, tar.length].sort((a, b) => a - b)
          const pieces = ends
            .map((end, index) => tar.subarray(ends[index - 1] ?? 0, end))
            .filter((one) => one.length > 0)
          assert.deepEqual(await filter(pieces, ignore), whole)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('with an entry outside its root is refused', async () => {
    for (const name of [
      '../evil',
      '/etc/passwd',
      'a/../../evil',
      '..',
      `${'a/'.repeat(80)}../../${'../'.repeat(90)}evil`,
    ]) {
      const tar = await tarOf(['Dockerfile', { name }])
      await assert.rejects(filter([tar], null), /outside/, name)
      await assert.rejects(filter([tar], '**'), /outside/, `${name}, ignored`)
    }
    assert.deepEqual(await kept(['a..b', '..c', 'd../e'], null), ['a..b', '..c', 'd../e'])
  })

  test('passes a symbolic link on as a link, wherever it points: the engine resolves it inside the container', async () => {
    const tar = await tarOf([{ name: 'link', type: 'symlink', linkname: '/etc/passwd' }, 'after'])
    const out = await filter([tar], null)
    assert.deepEqual(out, tar)
    assert.deepEqual(list(out), ['link', 'after'])
  })

  test('with a hard link to outside its root is refused', async () => {
    const tar = await tarOf([{ name: 'link', type: 'link', linkname: '../../etc/passwd' }, 'after'])
    await assert.rejects(filter([tar], null), /outside/)
  })

  test('that is cut short is refused', async () => {
    const tar = await tarOf(['Dockerfile', 'a'])
    for (const length of [100, 512, 600, 1024 + 100, 1536]) {
      await assert.rejects(filter([tar.subarray(0, length)], null), /truncated/, `${length} bytes`)
    }
  })
})
