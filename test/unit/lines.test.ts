import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { LineShaper, MAX_LINE_BYTES } from '../../src/engine/logs/lines.js'
import { cleanLine } from '../../src/engine/quoted-text.js'

const ESC = '\x1b'
const CUT = ' …[line cut]'

function shape(pieces: readonly (Buffer | string)[], secrets: readonly string[] = []): string[] {
  const lines: string[] = []
  const shaper = new LineShaper(secrets, (line) => lines.push(line))
  for (const piece of pieces) shaper.write(Buffer.from(piece))
  shaper.end()
  return lines
}

function singleBytes(bytes: Buffer): Buffer[] {
  return [...bytes].map((byte) => Buffer.from([byte]))
}

function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
}

/** Everything that makes a stream hard to cut: long characters, half characters, returns, sequences, secrets. */
const troublesome = fc
  .array(
    fc.oneof(
      fc
        .constantFrom(
          'a',
          'é',
          '€',
          '💚',
          '\ufeff',
          '\r',
          '\n',
          '\r\n',
          '\r\r\n',
          '\0',
          `${ESC}[31m`,
          `${ESC}[2K`,
          `${ESC}]0;title\x07`,
          `${ESC}]8;;http://x${ESC}\\`,
          'https://user:pass@host/',
          'hunter22',
          'hunt',
          'x'.repeat(9000),
        )
        .map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 30 },
  )
  .map((pieces) => Buffer.concat(pieces))

describe('the line shaper', () => {
  test('gives the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(troublesome, fc.array(fc.nat(), { maxLength: 12 }), (bytes, places) => {
        assert.deepEqual(shape(cutAt(bytes, places), ['hunter22']), shape([bytes], ['hunter22']))
      }),
      { numRuns: 200 },
    )
  })

  test('gives the same lines when every byte comes alone', () => {
    const text = `é€💚\r\n${ESC}[31mred${ESC}[0m\n1%\r2%\r3%\n${ESC}]0;title\x07after\nend`
    const expected = ['é€💚\n', `${ESC}[31mred${ESC}[0m\n`, '3%\n', 'after\n', 'end\n']
    assert.deepEqual(shape([text]), expected)
    assert.deepEqual(shape(singleBytes(Buffer.from(text))), expected)
  })

  test('treats CRLF as one newline', () => {
    assert.deepEqual(shape(['a\r\nb\r\n']), ['a\n', 'b\n'])
    assert.deepEqual(shape(['a\r', '\nb\r', '\r', '\n']), ['a\n', 'b\n'])
  })

  test('keeps empty lines', () => {
    assert.deepEqual(shape(['\n\r\na\n\n']), ['\n', '\n', 'a\n', '\n'])
  })

  test('shows only what a progress bar wrote last', () => {
    assert.deepEqual(shape(['10%\r50%\r100%\n']), ['100%\n'])
    assert.deepEqual(shape(['10%\r50%']), ['50%\n'])
    assert.deepEqual(shape(['100%\r']), ['100%\n'])
  })

  test('forgets that a line was too long when a carriage return overwrites it', () => {
    assert.deepEqual(shape(['x'.repeat(MAX_LINE_BYTES + 1), '\rdone\n']), ['done\n'])
  })

  test('gives a last line without newline one', () => {
    assert.deepEqual(shape(['a\nb']), ['a\n', 'b\n'])
    assert.deepEqual(shape(['a\n']), ['a\n'])
    assert.deepEqual(shape([]), [])
  })

  test('ends a stream inside a character with a replacement character', () => {
    assert.deepEqual(shape([Buffer.from([0x61, 0xe2, 0x82])]), ['a\ufffd\n'])
  })

  test('shows a line as soon as its newline is there', () => {
    const lines: string[] = []
    const shaper = new LineShaper(['hunter22'], (line) => lines.push(line))
    shaper.write(Buffer.from('first\nhunt'))
    assert.deepEqual(lines, ['first\n'])
    shaper.write(Buffer.from('ing\n'))
    assert.deepEqual(lines, ['first\n', 'hunting\n'])
  })

  test('masks a secret that is cut into single bytes', () => {
    assert.deepEqual(shape(singleBytes(Buffer.from('token=hunter22!\n')), ['hunter22']), [
      'token=[REDACTED]!\n',
    ])
  })

  test('lets a line of exactly the limit through and cuts the next longer one with a marker', () => {
    const full = 'x'.repeat(MAX_LINE_BYTES)
    assert.deepEqual(shape([`${full}\n`]), [`${full}\n`])
    assert.deepEqual(shape([`${full}y\nnext\n`]), [`${full}${CUT}\n`, 'next\n'])
    assert.deepEqual(shape([full, 'y', 'z']), [`${full}${CUT}\n`])
    assert.deepEqual(
      shape([`${full.slice(1)}💚`, 'y\n']),
      [`${full.slice(1)}${CUT}\n`],
      'nothing fills the gap',
    )
  })

  test('does not split a surrogate pair where it cuts a long line', () => {
    const almost = 'x'.repeat(MAX_LINE_BYTES - 1)
    assert.deepEqual(shape([`${almost}💚💚\n`]), [`${almost}${CUT}\n`])
    const short = 'x'.repeat(MAX_LINE_BYTES - 4)
    assert.deepEqual(shape([`${short}💚💚\n`]), [`${short}💚${CUT}\n`])
  })

  test('counts bytes where it cuts, also those of what it makes visible', () => {
    const whole = '你'.repeat(Math.floor(MAX_LINE_BYTES / 3))
    assert.deepEqual(shape([`${whole}\n`]), [`${whole}\n`])
    assert.deepEqual(shape([`${whole}你你\n`]), [`${whole}${CUT}\n`])
    assert.deepEqual(shape(['你'.repeat(MAX_LINE_BYTES), '\n']), [`${whole}${CUT}\n`])
    assert.deepEqual(shape(['\0'.repeat(MAX_LINE_BYTES), '\n']), [`${whole.replaceAll('你', '␀')}${CUT}\n`])
  })

  test('needs little memory for 50 MB without a newline', () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const lines: string[] = []
    // The secret begins like the stream: the redactor must not hold on to all of it either.
    const shaper = new LineShaper(['x'.repeat(100) + 'secret'], (line) => lines.push(line))
    collect()
    const before = process.memoryUsage().heapUsed
    for (let count = 0; count < 800; count++) shaper.write(Buffer.alloc(64 * 1024, 'x'))
    collect()
    const held = process.memoryUsage().heapUsed - before
    shaper.end()
    assert.ok(held < 4 * 1024 * 1024, `holds ${held} bytes`)
    assert.deepEqual(lines, [`${'x'.repeat(MAX_LINE_BYTES)}${CUT}\n`])
  })
})

describe('a clean line', () => {
  test('keeps colours', () => {
    for (const colour of ['[m', '[0m', '[1;31m', '[38;5;196m', '[38;2;1;2;3m', '[4:3m']) {
      assert.equal(cleanLine(`a${ESC}${colour}b`), `a${ESC}${colour}b`)
    }
  })

  test('contains no sequence that moves the cursor, erases, or sets a title, a link or the clipboard', () => {
    const sequences = [
      `${ESC}[2K`,
      `${ESC}[1A`,
      `${ESC}[2J`,
      `${ESC}[1;1H`,
      `${ESC}[?25l`,
      `${ESC}[?1049h`,
      `${ESC}[6n`,
      `${ESC}]0;title\x07`,
      `${ESC}]0;title${ESC}\\`,
      `${ESC}]52;c;aGFjaw==\x07`,
      `${ESC}]8;;http://evil/${ESC}\\`,
      `${ESC}P+q544e${ESC}\\`,
      `${ESC}_payload${ESC}\\`,
      `${ESC}^private${ESC}\\`,
      `${ESC}(B`,
      `${ESC}c`,
      `${ESC}7`,
    ]
    for (const sequence of sequences) assert.equal(cleanLine(`a${sequence}b`), 'ab', JSON.stringify(sequence))
  })

  test('drops a sequence that does not end', () => {
    assert.equal(cleanLine(`a${ESC}]0;title`), 'a')
    assert.equal(cleanLine(`a${ESC}`), 'a')
  })

  test('contains no control character whatever comes in', () => {
    const piece = fc.constantFrom(
      ESC,
      '[',
      ']',
      '0',
      ';',
      'm',
      'J',
      '\x07',
      '\\',
      '\x9c',
      '\x9b',
      '\x01',
      '\b',
      'P',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
        const clean = cleanLine(pieces.join(''))
        // oxlint-disable-next-line no-control-regex
        const plain = clean.replace(/\x1b\[[0-9;:]*m/g, '')
        for (const character of plain) {
          const code = character.charCodeAt(0)
          assert.ok(
            code >= 0x20 && !(code >= 0x7f && code <= 0x9f),
            `U+${code.toString(16)} in ${JSON.stringify(clean)}`,
          )
        }
      }),
      { numRuns: 200 },
    )
  })

  test('keeps tabs and makes NUL visible', () => {
    assert.equal(cleanLine('a\tb\0c'), 'a\tb␀c')
  })

  test('replaces lone surrogates and keeps pairs', () => {
    assert.equal(cleanLine('\ud83dx\udc9a💚'), '\ufffdx\ufffd💚')
  })

  test('masks user and password in a URL and nothing else of it', () => {
    assert.equal(cleanLine('fatal: https://me:s3cret@git.host/x.git'), 'fatal: https://***@git.host/x.git')
    assert.equal(
      cleanLine('postgres://u:p@db:5432/a and redis://:pw@r'),
      'postgres://***@db:5432/a and redis://***@r',
    )
    assert.equal(cleanLine('ssh://git@host/x http://h:80/a@b'), 'ssh://git@host/x http://h:80/a@b')
  })
})
