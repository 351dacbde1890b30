import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkIgnoreFile, ignoredOf, MAX_IGNORE_BYTES } from '../../src/engine/docker/ignore-file.js'
import { mixedTexts } from '../support/mixed-texts.js'

/** What dockerode filters contexts with: made after moby's, by way of regular expressions. */
const library = createRequire(import.meta.url)('@balena/dockerignore') as (options: object) => {
  add(patterns: string): { ignores(path: string): boolean }
}

const name = fc.stringMatching(/^[ab.]{1,3}$/).filter((one) => !/^\.+$/.test(one))
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
/** Not with `**` in a name, such as `a**`: of that the library does not compare all folders that a path is in. */
const stars = fc.stringMatching(/^[ab.*?]{1,4}$/).filter((one) => !one.includes('**'))
const part = fc.oneof(name, fc.constant('**'), stars)
const pattern = fc
  .tuple(
    fc.constantFrom('', '!', '/', ' '),
    fc.array(part, { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '/'),
  )
  .map(([before, parts, after]) => before + parts.join('/') + after)
const lines = fc.array(pattern, { minLength: 1, maxLength: 4 })

const ignored = (text: string, paths: readonly string[], signal?: AbortSignal) =>
  ignoredOf(paths, { path: 'web/.dockerignore', text }, { signal })

function take(count: number, length: number, letters: string): string[] {
  const texts = mixedTexts(length, letters)
  return Array.from({ length: count }, () => texts.next().value)
}

describe('an ignore file', () => {
  test('leaves out what the library leaves out', async () => {
    await fc.assert(
      fc.asyncProperty(lines, fc.array(path, { minLength: 1, maxLength: 4 }), async (patterns, paths) => {
        const text = patterns.join('\n')
        const others = library({ ignorecase: false }).add(text)
        assert.deepEqual(await ignored(text, paths), new Set(paths.filter((one) => others.ignores(one))))
      }),
      { numRuns: 5_000 },
    )
  })

  for (const [line, named, others] of [
    ['app/(internal)', ['app/(internal)', 'app/(internal)/x'], ['app/internal', 'app/(internal)x']],
    ['third_party/c++', ['third_party/c++/x'], ['third_party/c', 'third_party/ccc']],
    ['a{1}|b$^', ['a{1}|b$^'], ['a', 'b']],
    ['\\*\\[a', ['*[a'], ['x[a', '\\*[a']],
    ['[a-c]x[^d]', ['bxe', 'cxx/y'], ['dxe', 'bxd', 'bx/y']],
    ['[]a\\]]', [']', 'a'], ['b']],
    ['[a-]', ['a', '-'], ['b']],
    ['?', ['é', '😀'], ['ab', '']],
    ['**/*.t', ['a.t', 'x/y/.t', 'x.t/y'], ['a.ts']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a/c']],
    ['a/**/b', ['a/b', 'a/x/y/b/c'], ['a/xb', 'ab']],
    ['\uFEFFfirst\r', ['first'], ['x']],
    ['./a/../b/', ['b', 'b/c'], ['a']],
  ] as const) {
    test(`with ${JSON.stringify(line)}`, async () => {
      assert.deepEqual([...(await ignored(line, [...named, ...others]))], named)
    })
  }

  test('says which of its lines is no pattern', () => {
    const check = (text: string) => checkIgnoreFile(text, 'web/.dockerignore')
    check('# [comment\n\n*.md\nc++\n(a\n!b{\na]\n**/x\\[\n[a-z]\n!\n')
    for (const line of ['a[', '[z-a]', '!x/[b', '[]', 'a\\'])
      assert.throws(() => check(`node_modules\r\n${line}\r\n*.md`), {
        code: 'DOCKERIGNORE_INVALID',
        message: new RegExp(`^line 2 of web/\\.dockerignore is not a valid pattern: ".{${line.length}}", `),
      })
    assert.throws(() => check('x\n'.repeat(MAX_IGNORE_BYTES / 2 + 1)), /is longer than 64 KiB/)
  })

  test('is compared, however many stars it has', async () => {
    for (const line of ['*a'.repeat(40), '**/a'.repeat(40), '*'.repeat(60_000), '**/'.repeat(20_000) + 'b']) {
      const paths = ['a'.repeat(250), 'a/'.repeat(120)]
      assert.deepEqual(await ignored(`${line}!`, paths), new Set(), line.slice(0, 20))
    }
  })

  test('of 1,800 lines of many stars leaves out what one of them does', async () => {
    const line = `**/${'*a'.repeat(15)}*b`
    const paths = ['a', 'b'].map((end) => `${`${'a'.repeat(249)}/`.repeat(7)}${'a'.repeat(249)}${end}`)
    assert.deepEqual([...(await ignored(`${line}\n`.repeat(1_800), paths))], paths.slice(1))
  })

  test('lets others have their turns while it is compared', async () => {
    const text = take(300, 30, 'ab*').join('\n')
    let turns = 0
    let compared = false
    const count = () => {
      turns++
      if (!compared) setImmediate(count)
    }
    setImmediate(count)
    await ignored(text, take(20, 200, 'ab'))
    compared = true
    assert.ok(turns >= 10, `${turns}`)
  })

  test('is named with the line that makes it slow', async () => {
    const lines = ['node_modules', `**/*a${'?'.repeat(5_000)}`, '*.md']
    const paths = take(20, 4_000, 'ab')
    const message =
      /^line 2 of web\/\.dockerignore takes too long to match against the 20 paths of the context: "\*\*\/\*a\?{194}…"\. Use/
    await assert.rejects(ignored(lines.join('\n'), paths), { code: 'DOCKERIGNORE_INVALID', message })
  })

  test('is no longer looked at when the deployment has ended', async () => {
    const stop = new AbortController()
    setImmediate(() => stop.abort(new Error('cancelled')))
    const text = take(300, 30, 'ab*').join('\n')
    await assert.rejects(ignored(text, take(1_000, 200, 'ab'), stop.signal), /^Error: cancelled$/)
  })
})
