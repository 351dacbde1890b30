import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { CommandError } from '../../src/engine/command-error.js'
import { checkBranch, checkRef } from '../../src/engine/ref-names.js'

/** The check must refuse, as bad input of this field, and say so with the field's name. */
function refuses(check: () => unknown, what: string, field = 'field'): void {
  assert.throws(
    check,
    (error: unknown) => {
      assert.ok(error instanceof CommandError, String(error))
      assert.deepEqual([error.code, error.field], ['BAD_USER_INPUT', field])
      assert.ok(error.message.startsWith(`${field}: `))
      return true
    },
    `accepted ${JSON.stringify(what.slice(0, 100))}`,
  )
}

const repeat = (text: string, count: number): string => text.repeat(count)

describe('a ref', () => {
  test('is a branch, a tag or a full commit id', () => {
    const good = [
      'main',
      'v1.2.3',
      'feature/x-1',
      'a@b',
      'a+b',
      'fix/#12',
      'a=b,c%d!',
      '_x',
      'HEAD',
      repeat('a1', 20),
      repeat('a', 244),
      ...[
        'größe',
        'fix(ui)',
        'a&b',
        'feature/日本',
        "it's",
        'a;b',
        'a$(b)',
        '`x`',
        '+main',
        '#1',
        'ä|b',
        '💚',
        '"x"',
      ],
      ...['refs/heads/main', 'refs/tags/v1', 'tags/v1', 'heads/main', 'refs/pull/1/head', 'a@b', 'x/@', 'a-'],
    ]
    for (const ref of good) assert.equal(checkRef('field', ref), ref)
    assert.equal(checkRef('field', 'AB'.repeat(20)), 'ab'.repeat(20), 'a commit id in lower case')
  })

  test('is what git itself takes, whatever it is made of', () => {
    const piece = fc.constantFrom(
      'a',
      'ö',
      '日',
      '.',
      '/',
      '.lock',
      '@',
      '{',
      '-',
      '~',
      ' ',
      '(',
      '*',
      '\\',
      '..',
      ':',
      '\x7f',
    )
    const given = fc.sample(fc.array(piece, { minLength: 1, maxLength: 4 }), { numRuns: 150, seed: 7 })
    for (const parts of given) {
      const ref = parts.join('')
      // `--branch` would resolve `@{-1}`; what begins with a hyphen is refused there alone, and `@` stands for HEAD.
      const isTaken =
        spawnSync('git', ['check-ref-format', `refs/heads/${ref}`]).status === 0 && !/^-|^@$/.test(ref)
      let isAccepted = true
      try {
        checkRef('field', ref)
      } catch {
        isAccepted = false
      }
      assert.equal(isAccepted, isTaken, JSON.stringify(ref))
    }
  })

  test('that a stage follows is the name that pushes have', () => {
    assert.equal(checkBranch('field', 'refs/heads/größe'), 'größe')
    assert.equal(checkBranch('field', 'main'), 'main')
    refuses(() => checkBranch('field', 'refs/heads/-x'), 'refs/heads/-x')
  })

  test('says of a commit of a SHA-256 repository that it is one', () => {
    assert.throws(() => checkRef('field', 'ab'.repeat(32)), /SHA-256 repository/)
  })

  test('is refused where git would read it as an option, an expression or a path', () => {
    const options = ['', '-x', '--upload-pack=evil', '@', 'refs:x', ':main', '^main', 'main~1', 'main^{tree}']
    const paths = [
      'a..b',
      'a@{1}',
      'a//b',
      '/a',
      'a/',
      'a.',
      '.a',
      'a/.b',
      'a.lock',
      'a.lock/b',
      'a\\b',
      repeat('a', 245),
      repeat('ö', 123),
    ]
    const characters = ['a b', 'a\n', '\na', 'a\tb', 'a\0', 'a*', 'a?', 'a[b', 'a\x1b[m', 'a\ud800']
    for (const ref of [...options, ...paths, ...characters]) refuses(() => checkRef('field', ref), ref)
  })
})
