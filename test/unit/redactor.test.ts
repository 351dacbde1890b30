import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { MIN_SECRET_LENGTH, Redactor } from '../../src/engine/logs/redactor.js'

const MASK = '[REDACTED]'

function redact(secrets: readonly string[], pieces: readonly (Buffer | string)[]): string {
  const redactor = new Redactor(secrets)
  const shown = pieces.map((piece) => redactor.write(Buffer.from(piece)))
  return Buffer.concat([...shown, redactor.flush()]).toString('utf8')
}

/** The text in two pieces, for every place where it can be cut, and in single bytes. */
function cuts(text: string): Buffer[][] {
  const bytes = Buffer.from(text)
  const pairs = [...bytes.keys()].map((at) => [bytes.subarray(0, at), bytes.subarray(at)])
  return [...pairs, [...bytes].map((byte) => Buffer.from([byte]))]
}

function assertRedacted(secrets: readonly string[], text: string, expected: string): void {
  for (const pieces of cuts(text)) {
    const where = `cut at byte ${pieces[0]?.length} of ${JSON.stringify(text)}`
    assert.equal(redact(secrets, pieces), expected, where)
  }
}

/** What masking means, said slowly: every byte of every find is covered; a run of covered bytes is one mask. */
function slowly(secrets: readonly string[], text: string): string {
  const covered = new Set<number>()
  for (const secret of secrets) {
    for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1)) {
      for (let index = at; index < at + secret.length; index++) covered.add(index)
    }
  }
  return [...text]
    .map((letter, index) => (covered.has(index) ? (covered.has(index - 1) ? '' : MASK) : letter))
    .join('')
}

/** Two masks side by side or one: both hide everything. */
function joined(text: string): string {
  return text.replace(/(?:\[REDACTED\])+/g, MASK)
}

describe('the redactor', () => {
  test('masks a secret cut at every position', () => {
    assertRedacted(['hunter22'], 'the token hunter22 is used', `the token ${MASK} is used`)
    assertRedacted(['pässwörd💚'], 'a pässwörd💚 b', `a ${MASK} b`)
  })

  test('shows the beginning of a secret that does not go on', () => {
    assertRedacted(['hunter22'], 'hunter2 hunter', 'hunter2 hunter')
  })

  test('does not delay what cannot begin a secret', () => {
    const redactor = new Redactor(['hunter22'])
    assert.equal(redactor.write(Buffer.from('an ordinary line\n')).toString(), 'an ordinary line\n')
    assert.equal(redactor.write(Buffer.from('almost hunt')).toString(), 'almost ')
    assert.equal(redactor.write(Buffer.from('ed')).toString(), 'hunted')
  })

  test('masks the base64 of a text around the secret at each of the three alignments', () => {
    const secret = 'correct-horse-battery'
    for (const before of ['', 'x', 'xy', 'xyz', 'user:']) {
      for (const after of ['', '!', '!!', '!!!']) {
        const text = Buffer.from(before + secret + after).toString('base64')
        for (const pieces of cuts(text)) {
          const [head = '', tail, more] = redact([secret], pieces).split(MASK)
          assert.ok(tail !== undefined && more === undefined, `one mask for ${text}`)
          // A character of base64 carries 6 bits; less than a byte of the secret may show at either edge.
          assert.ok(head.length * 6 < before.length * 8 + 8, `${head} shows the secret's beginning`)
          assert.ok(
            tail.replace(/=+$/, '').length * 6 < after.length * 8 + 8 + 6,
            `${tail} shows the secret's end`,
          )
        }
      }
    }
  })

  test('masks a secret as JSON escapes it', () => {
    const secret = 'pa"ss\\wo\trd'
    assertRedacted([secret], JSON.stringify({ password: secret }), `{"password":"${MASK}"}`)
  })

  test('masks a secret as a URL encodes it', () => {
    const secret = 'p@ss/w&rd é'
    assertRedacted(
      [secret],
      `https://host/?key=${encodeURIComponent(secret)}&x=1`,
      `https://host/?key=${MASK}&x=1`,
    )
  })

  test('masks the password of a URL where it stands alone, and with its user', () => {
    const secret = 'postgres://app:s3cret%2Fpass@db:5432/shop'
    assertRedacted([secret], 'app on db:5432/shop', 'app on db:5432/shop')
    for (const password of ['s3cret%2Fpass', 's3cret/pass']) {
      assertRedacted([secret], `{ password: '${password}' }`, `{ password: '${MASK}' }`)
      const basic = Buffer.from(`app:${password}`).toString('base64')
      assert.ok(!redact([secret], [`Basic ${basic}`]).includes(basic.slice(0, 8)))
    }
  })

  test('masks a secret without the blanks around it in every encoding', () => {
    assertRedacted(['pa"ss\\word\n'], JSON.stringify('pa"ss\\word'), `"${MASK}"`)
  })

  test('masks overlapping secrets as one', () => {
    assertRedacted(['abcdefgh', 'efghijkl'], '<abcdefghijkl>', `<${MASK}>`)
    assertRedacted(['abcabc'], '<abcabcabc>', `<${MASK}>`)
    assertRedacted(['abcdefgh', 'abcdefghijkl'], '<abcdefghijkl>', `<${MASK}>`)
  })

  test('masks adjoining secrets', () => {
    for (const pieces of cuts('<hunter22swordfish>')) {
      assert.equal(joined(redact(['hunter22', 'swordfish'], pieces)), `<${MASK}>`)
    }
  })

  test('masks adjoining secrets as one', () => {
    assertRedacted(['hunter22', 'swordfish'], '<hunter22swordfish>', `<${MASK}>`)
  })

  test('leaves short values alone and masks from the least length on', () => {
    assert.equal(MIN_SECRET_LENGTH, 6)
    assertRedacted(['true', '12345', ''], 'true 12345', 'true 12345')
    assertRedacted(['123456'], 'a 123456 b', `a ${MASK} b`)
  })

  test('leaves a short value alone also where its encoding is long', () => {
    assertRedacted(['/app'], 'GET /login?next=%2Fapp%2Fhome', 'GET /login?next=%2Fapp%2Fhome')
  })

  test('masks each longer line of a secret of several lines', () => {
    const key = '-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n'
    assertRedacted([key], '1: MIIEvQIBADANBgkq\n2: hkiG9w0BAQEFAASC\n', `1: ${MASK}\n2: ${MASK}\n`)
    assertRedacted([key], `a ${key.trim()} b`, `a ${MASK} b`)
  })

  test('masks the lines of a secret with CRLF that is printed with other newlines', () => {
    assertRedacted(['first-secret-line\r\nsecond-secret-line'], 'first-secret-line\n', `${MASK}\n`)
  })

  test('masks a secret without the white space at its ends', () => {
    assertRedacted(['  hunter22\n'], 'token=hunter22;', `token=${MASK};`)
  })

  test('masks exactly the finds, however the stream is cut', () => {
    const word = fc
      .array(fc.constantFrom('a', 'b'), { minLength: 6, maxLength: 10 })
      .map((all) => all.join(''))
    const slice = fc.record({ which: fc.nat(), from: fc.nat({ max: 4 }), to: fc.nat({ max: 10 }) })
    const piece = fc.oneof(slice, fc.constant('-'))
    let finds = 0
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 3 }),
        fc.array(piece, { maxLength: 16 }),
        (values, parts) => {
          // Pieces of the secrets themselves: whole ones, beginnings, ends, one into the other.
          const pieces = parts.map((part) =>
            typeof part === 'string'
              ? part
              : (values[part.which % values.length] ?? '').slice(part.from % 3 ? 0 : part.from, part.to + 4),
          )
          const shown = redact(values, pieces)
          for (const value of values) assert.ok(!shown.includes(value))
          assert.equal(joined(shown), slowly(values, pieces.join('')))
          finds += shown.split(MASK).length - 1
        },
      ),
      {
        numRuns: 200,
        examples: [
          [
            ['aaaaaa', 'bbbbbb'],
            ['-', { which: 1, from: 1, to: 9 }, '-', { which: 0, from: 1, to: 9 }],
          ],
        ],
      },
    )
    assert.ok(finds > 100, `only ${finds} finds: this test tests little`)
  })

  test('never shows a secret, however it and the stream are cut', () => {
    const secret = fc.string({ minLength: 6, maxLength: 20, unit: 'grapheme-ascii' })
    const around = fc.string({ maxLength: 10, unit: 'grapheme' })
    fc.assert(
      fc.property(secret, around, around, fc.array(fc.nat({ max: 60 })), (value, before, after, places) => {
        fc.pre(!value.includes('[') && !value.includes(']') && !MASK.includes(value.trim()))
        const bytes = Buffer.from(before + value + after)
        const ends = [...places, bytes.length].sort((a, b) => a - b)
        const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
        assert.ok(!redact([value], pieces).includes(value))
      }),
      { numRuns: 200 },
    )
  })

  test('masks a secret as programs of other languages write it, wherever the stream is cut', () => {
    const unit = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const all = (text: string): [string, string[]] => [text, [text]]
    /** The characters at the edges of base64 mix with what stands beside the secret. */
    const inner = (text: string, from: number): [string, string[]] => [text, [text.slice(from, -4)]]
    const wrapped = (text: string, width: number): [string, string[]] => {
      const lines = text.match(new RegExp(`.{1,${width}}`, 'g')) ?? []
      return [lines.join('\n'), lines.filter((line) => line.length === width)]
    }
    /** What is printed, and what of it must not be seen. */
    const encodings: ((secret: string) => [string, string[]])[] = [
      (secret) => all(JSON.stringify(secret).slice(1, -1)),
      (secret) =>
        all(
          JSON.stringify(secret)
            .slice(1, -1)
            .replace(/[^\0-\x7f]/g, unit),
        ), // Python
      (secret) => all(JSON.stringify(secret).slice(1, -1).replace(/[<>&]/g, unit)), // Go
      (secret) => all(encodeURIComponent(secret)),
      (secret) => all(new URLSearchParams({ k: secret }).toString().slice(2)),
      (secret) => inner(base64(secret), 0),
      (secret) => inner(base64(`a${secret}b`), 4),
      (secret) => inner(base64(`ab${secret}c`), 4),
      (secret) => inner(Buffer.from(`a${secret}`).toString('base64url'), 4),
      (secret) => wrapped(base64(secret), 76), // base64
      (secret) => wrapped(base64(secret), 64), // openssl base64
    ]
    const secret = fc.string({ minLength: 12, maxLength: 150, unit: 'grapheme' }).filter((text) => {
      return text.trim() === text && text.isWellFormed() && !/[[\]]/.test(text)
    })
    const places = fc.array(fc.nat({ max: 300 }), { maxLength: 10 })
    fc.assert(
      fc.property(secret, fc.constantFrom(...encodings), places, (value, encode, cutAt) => {
        const [printed, traces] = encode(value)
        const bytes = Buffer.from(`before ${printed} behind\n`)
        const ends = [...cutAt, bytes.length].sort((a, b) => a - b)
        const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
        const shown = redact([value], pieces)
        for (const trace of traces) assert.ok(!shown.includes(trace), `${trace} of ${JSON.stringify(value)}`)
      }),
      { numRuns: 1_000 },
    )
  })

  test('masks one text after another, each from its beginning', () => {
    const redactor = new Redactor(['hunter22'])
    for (let round = 0; round < 3; round++) assert.equal(redactor.mask('hunter22'), MASK)
    assert.equal(redactor.mask('hunter'), 'hunter')
    assert.equal(redactor.mask('22'), '22')
  })

  test('passes everything on where there is no secret', () => {
    const bytes = Buffer.from([0, 255, 128, 10])
    assert.deepEqual(new Redactor([]).write(bytes), bytes)
    assert.deepEqual(new Redactor(['hunter22']).write(bytes), bytes)
  })
})
