import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkIgnoreFile, ignoreRules, MAX_IGNORE_BYTES } from '../../src/engine/docker/ignore-file.js'

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

describe('an ignore file', () => {
  test('leaves out what the library leaves out', () => {
    fc.assert(
      fc.property(lines, path, (patterns, one) => {
        const text = patterns.join('\n')
        assert.equal(ignoreRules(text).ignores(one), library({ ignorecase: false }).add(text).ignores(one))
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
    test(`with ${JSON.stringify(line)}`, () => {
      const rules = ignoreRules(line)
      for (const one of named) assert.ok(rules.ignores(one), one)
      for (const one of others) assert.ok(!rules.ignores(one), one)
    })
  }

  test('says which of its lines is no pattern', () => {
    const check = (text: string) => checkIgnoreFile(text, 'web/.dockerignore')
    check('# [comment\n\n*.md\nc++\n(a\n!b{\na]\n**/x\\[\n[a-z]\n!\n')
    for (const line of ['a[', '[z-a]', '!x/[b', '[]', 'a\\'])
      assert.throws(() => check(`node_modules\r\n${line}\r\n*.md`), {
        code: 'DOCKERIGNORE_INVALID',
        message: new RegExp(`^line 2 of web/\\.dockerignore is not a pattern: ".{${line.length}}", `),
      })
    assert.throws(() => check('x\n'.repeat(MAX_IGNORE_BYTES / 2 + 1)), /is longer than 64 KiB/)
  })

  test('is compared soon, however many stars it has', () => {
    const before = process.cpuUsage()
    for (const line of ['*a'.repeat(40), '**/a'.repeat(40), '*'.repeat(60_000), '**/'.repeat(20_000) + 'b']) {
      const rules = ignoreRules(`${line}!`)
      for (const one of ['a'.repeat(250), 'a/'.repeat(120)]) assert.ok(!rules.ignores(one))
    }
    assert.ok(process.cpuUsage(before).user < 2_000_000)
  })
})
