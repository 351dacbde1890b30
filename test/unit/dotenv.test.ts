import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DotenvError, parseDotenv } from '../../src/engine/secrets/dotenv.js'

function read(text: string): Record<string, string> {
  return Object.fromEntries(parseDotenv(text).map(({ key, value }) => [key, value]))
}

describe('the text of a .env file', () => {
  test('has keys and values, comments, blank lines and exports', () => {
    const text = [
      '# a comment',
      '',
      'PLAIN=value',
      '  export  SPACED = some words  ',
      'EMPTY=',
      'COMMENTED=value # not of it',
      'ONLY_COMMENT= # nothing',
      'HASH=a#b',
      'URL=postgres://u:p@h/d?x=1&y=2',
      'EQUALS=a=b=c',
      'DOLLAR=$OTHER ${OTHER}',
      'BACKSLASH=C:\\new',
    ].join('\n')
    assert.deepEqual(read(text), {
      PLAIN: 'value',
      SPACED: 'some words',
      EMPTY: '',
      COMMENTED: 'value',
      ONLY_COMMENT: '',
      HASH: 'a#b',
      URL: 'postgres://u:p@h/d?x=1&y=2',
      EQUALS: 'a=b=c',
      DOLLAR: '$OTHER ${OTHER}',
      BACKSLASH: 'C:\\new',
    })
  })

  test('has comments to the end of the line, whatever signs are in them', () => {
    assert.deepEqual(read('A=b # c\u2028d\nE=f'), { A: 'b', E: 'f' })
    assert.deepEqual(read(`A=b${' #'.repeat(64 * 1024)}\u2028`), { A: 'b' })
  })

  test('has quoted values, also of several lines', () => {
    const text = [
      `SINGLE='as it is: \\n # "$X"' # comment`,
      String.raw`DOUBLE="a\nb\tc \"d\" \\ \$X \d" `,
      '`BACK`='.replace(/`/g, '') + '`it\'s "all" literal`',
      'KEY="-----BEGIN KEY-----',
      'MIIE # no comment',
      '-----END KEY-----"',
      "EMPTY=''",
      'LAST=1',
    ].join('\n')
    assert.deepEqual(read(text), {
      SINGLE: 'as it is: \\n # "$X"',
      DOUBLE: 'a\nb\tc "d" \\ $X \\d',
      BACK: 'it\'s "all" literal',
      KEY: '-----BEGIN KEY-----\nMIIE # no comment\n-----END KEY-----',
      EMPTY: '',
      LAST: '1',
    })
    assert.equal(parseDotenv(text).at(-1)?.line, 8)
  })

  test('may come from Windows, with a mark at its beginning and without a last newline', () => {
    assert.deepEqual(read('\uFEFFA=1\r\nB="x\r\ny"\r\n\r\nC=3'), { A: '1', B: 'x\ny', C: '3' })
    assert.deepEqual(parseDotenv(''), [])
    assert.deepEqual(parseDotenv('\n# nothing\n  '), [])
  })

  test('that is wrong is refused with the line, and never with what is in it', () => {
    const bad: Record<string, string> = {
      'A=1\nhunter22\n': 'line 2 ',
      '=hunter22': 'line 1 ',
      '1A=hunter22': 'line 1 ',
      'A B=hunter22': 'line 1 ',
      'A=1\n\nB="hunter22\nC=3': 'line 3:',
      "A='hunter22": 'line 1:',
      'A="x\ny" hunter22': 'line 2:',
    }
    for (const [text, where] of Object.entries(bad)) {
      assert.throws(
        () => parseDotenv(text),
        (error: Error) => {
          assert.ok(error instanceof DotenvError)
          assert.ok(error.message.startsWith(where), `${error.message} for ${JSON.stringify(text)}`)
          return !error.message.includes('hunter22')
        },
      )
    }
  })

  test('gives back any values that were written in double quotes', () => {
    const key = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,10}$/)
    const value = fc.string({ unit: 'binary' }).map((text) => text.replace(/\r/g, ''))
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name }), (pairs) => {
        const lines = pairs.map(
          ([name, text]) => `export ${name}="${text.replace(/["\\$`]/g, '\\$&')}" # c\n`,
        )
        assert.deepEqual(
          parseDotenv(lines.join('')).map((entry) => [entry.key, entry.value]),
          pairs,
        )
      }),
      { numRuns: 300 },
    )
  })

  test('of any kind is read or refused in a time that grows with its length only', () => {
    const part = fc.constantFrom('A', '=', '"', "'", '`', '\\', '#', ' ', '\n', '\r', 'export ', '\0', '💚')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 200 }), (parts) => {
        try {
          parseDotenv(parts.join(''))
        } catch (error) {
          assert.ok(error instanceof DotenvError)
        }
      }),
      { numRuns: 500 },
    )
    const long = 100_000
    for (const text of [
      ' '.repeat(long),
      `A="${'\\'.repeat(long)}`,
      `A= ${'# '.repeat(long)}`,
      `A=${' '.repeat(long)}x`,
    ]) {
      const before = process.cpuUsage()
      try {
        parseDotenv(text)
      } catch (error) {
        assert.ok(error instanceof DotenvError)
      }
      assert.ok(process.cpuUsage(before).user < 5_000_000, `${text.slice(0, 10)}… took too long`)
    }
  })
})
