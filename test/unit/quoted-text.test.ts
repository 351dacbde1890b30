import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { cleanLines } from '../../src/engine/logs/lines.js'
import { cutText, joinLines, lastState, oneLine, quoteName } from '../../src/engine/quoted-text.js'

const ESC = '\x1b'
const FAMILY = '👨‍👩‍👧'

const QUOTED: readonly (readonly [what: string, text: string, shown: string])[] = [
  ['plain text', 'Fix the größe of 日本', 'Fix the größe of 日本'],
  ['a return that forges a line', 'fix\rRunning at http://x', 'fix Running at http://x'],
  ['newlines', 'one\ntwo\r\n\r\nthree\n', 'one two three'],
  ['what is a newline elsewhere', 'a\u2028b\u2029c\x85d\ve\ff', 'a b c d e f'],
  ['colours', `${ESC}[31mred${ESC}[0m`, 'red'],
  ['a title and a link', `${ESC}]0;title\x07a${ESC}]8;;http://x${ESC}\\b`, 'ab'],
  ['control characters', 'a\x07b\x08c\x7fd\x9be', 'abcde'],
  ['a NUL, which PostgreSQL does not take', 'a\0b', 'a␀b'],
  ['text that is shown in another order', 'a\u202eb\u2066c\u2069', 'abc'],
  ['marks that scripts need', 'a\u200eb\u200fc', 'a\u200eb\u200fc'],
  ['a password in a URL', 'from https://me:hunter22@host/x.git', 'from https://***@host/x.git'],
  ['a token in a URL', 'from https://ghp_abc@host/x', 'from https://***@host/x'],
  ['a password of a database', 'postgres://app:hunter22@db/x', 'postgres://***@db/x'],
  ['half an emoji', 'a\ud83d', 'a\ufffd'],
  ['tabs', 'a\tb', 'a b'],
]

describe('a text that quotes somebody', () => {
  for (const [what, text, shown] of QUOTED) {
    test(`in one line: ${what}`, () => assert.equal(oneLine(text), shown))
  }

  test('is a name with the spaces at its ends', () => {
    assert.equal(quoteName(' deep/.git '), '" deep/.git "')
    assert.equal(quoteName('a\r\nb\x1b[31m'), '"a b"')
    assert.equal(quoteName('x'.repeat(300)), `"${'x'.repeat(199)}…"`)
  })

  test('is cut between two characters, not in one', () => {
    assert.equal(oneLine('x'.repeat(200), 200), 'x'.repeat(200))
    assert.equal(oneLine('x'.repeat(201), 200), `${'x'.repeat(199)}…`)
    for (let before = 190; before <= 200; before++) {
      const cut = oneLine(`${'x'.repeat(before)}${FAMILY}${FAMILY}💚e\u0301`, 200)
      assert.ok(cut.length <= 200, `${before}`)
      assert.match(cut, new RegExp(`^x+(?:${FAMILY})*…$`), `${before}`)
    }
    assert.equal(cutText(`a${'\u0301'.repeat(50)}`, 10), `a${'\u0301'.repeat(8)}…`, 'one that is too long')
    assert.equal(cutText('💚'.repeat(9), 6), '💚💚…')
  })

  test('has nothing that a terminal obeys, and is well-formed, whatever it is made of', () => {
    const nasty = fc.constantFrom(
      '\r',
      '\n',
      ESC,
      `${ESC}[2K`,
      '\u202e',
      '\x85',
      '\0',
      '💚',
      '\ud83d',
      'a',
      ']',
    )
    fc.assert(
      fc.property(fc.array(nasty, { maxLength: 40 }), fc.integer({ min: 2, max: 20 }), (parts, max) => {
        const shown = oneLine(parts.join(''), max)
        assert.doesNotMatch(shown, /[\p{Cc}\u2028\u2029\u202a-\u202e]/u)
        assert.ok(shown.isWellFormed() && shown.length <= max)
      }),
    )
  })

  test('in a line of the log begins no other line, and keeps its colours and indentation', () => {
    assert.equal(joinLines(`    a\r\nb\rc ${ESC}[31mred\n`), `    a b c ${ESC}[31mred`)
  })
})

describe('the last lines of a program', () => {
  test('have the last state of a progress bar only', () => {
    const bar = [...Array(101).keys()].map((at) => `Receiving objects: ${at}%`).join('\r')
    assert.deepEqual(
      cleanLines([`${bar}\r`, 'fatal: x\r'], (text) => text),
      ['Receiving objects: 100%', 'fatal: x'],
    )
    assert.equal(lastState('a\rb\r\r'), 'b')
  })

  test('are masked as one text, before anything of them is left out', () => {
    const mask = (text: string) => text.replace('top\nsecret', '[REDACTED]')
    assert.deepEqual(cleanLines(['a', 'top', 'secret', 'b'], mask), ['a', '[REDACTED]', 'b'])
  })

  test('are as long as lines of the log at most', () => {
    const [line = ''] = cleanLines(['x'.repeat(50_000)], (text) => text)
    assert.match(line, /…\[line cut\]$/)
    assert.ok(line.length < 17_000)
  })
})
