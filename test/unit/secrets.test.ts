import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import {
  DecryptError,
  readOrCreateFile,
  keyIdOf,
  SecretBox,
  sealedBytes,
} from '../../src/engine/secrets/secrets.js'

const box = new SecretBox(Buffer.alloc(32, 7))
const other = new SecretBox(Buffer.alloc(32, 8))
const scratch = mkdtempSync(join(tmpdir(), 'secrets-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** The parts of a stored value: version, key id, iv, text, tag. */
function change(stored: string, part: number, edit: (bytes: Buffer) => Buffer): string {
  const parts = stored.split(':')
  parts[part] = edit(Buffer.from(parts[part] ?? '', 'base64')).toString('base64')
  return parts.join(':')
}

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

describe('a secret box', () => {
  test('gives back any text that it encrypted', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, place) => {
        assert.equal(box.decrypt(box.encrypt(text, place), place), text)
      }),
      { numRuns: 100 },
    )
    assert.equal(box.decrypt(box.encrypt('', 'p'), 'p'), '')
  })

  test('encrypts the same text differently each time and does not show it', () => {
    const [one, two] = [box.encrypt('hunter22', 'p'), box.encrypt('hunter22', 'p')]
    assert.notEqual(one, two)
    assert.match(one, /^v1:[0-9a-f]{8}:[^:]+:[^:]+:[^:]+$/)
    assert.ok(!one.includes('hunter22') && !one.includes(Buffer.from('hunter22').toString('base64')))
  })

  test('does not open a value in another place', () => {
    const stored = box.encrypt('hunter22', 'variable:a:KEY')
    assert.throws(() => box.decrypt(stored, 'variable:b:KEY'), DecryptError)
    assert.throws(() => box.decrypt(stored, ''), DecryptError)
  })

  test('does not open what another key closed, and says which setting to look at', () => {
    const stored = other.encrypt('hunter22', 'p')
    assert.throws(() => box.decrypt(stored, 'p'), {
      name: 'DecryptError',
      code: 'SECRET_UNREADABLE',
      message: /MASTER_KEY/,
    })
    const [, ownId] = box.encrypt('x', 'p').split(':')
    const renamed = stored
      .split(':')
      .with(1, ownId ?? '')
      .join(':')
    assert.throws(() => box.decrypt(renamed, 'p'), DecryptError)
  })

  test('notices every changed byte', () => {
    const stored = box.encrypt('hunter22', 'p')
    for (const part of [2, 3, 4]) {
      const { length } = Buffer.from(stored.split(':')[part] ?? '', 'base64')
      assert.ok(length >= 8)
      for (let at = 0; at < length; at++) {
        assert.throws(
          () =>
            box.decrypt(
              change(stored, part, (bytes) => flip(bytes, at)),
              'p',
            ),
          DecryptError,
        )
      }
    }
  })

  test('notices what is missing or is no stored value at all', () => {
    const stored = box.encrypt('hunter22', 'p')
    for (const count of [0, 1, 2, 3, 4]) {
      assert.throws(
        () => box.decrypt(stored.split(':').slice(0, count).join(':'), 'p'),
        DecryptError,
        `${count} parts`,
      )
    }
    assert.throws(
      () =>
        box.decrypt(
          change(stored, 3, (bytes) => bytes.subarray(1)),
          'p',
        ),
      DecryptError,
    )
    assert.throws(() => box.decrypt(stored.replace('v1', 'v2'), 'p'), DecryptError)
    assert.throws(() => box.decrypt('hunter22', 'p'), DecryptError)
  })

  test('takes no shortened tag, which could be guessed', () => {
    const stored = box.encrypt('hunter22', 'p')
    for (const length of [4, 8, 12, 15]) {
      const short = change(stored, 4, (bytes) => bytes.subarray(0, length))
      assert.throws(() => box.decrypt(short, 'p'), DecryptError, `a tag of ${length} bytes`)
    }
  })

  test('has fingerprints that are equal for equal texts of one key only', () => {
    assert.match(box.fingerprint('hunter22'), /^[0-9a-f]{16}$/)
    assert.equal(box.fingerprint('hunter22'), new SecretBox(Buffer.alloc(32, 7)).fingerprint('hunter22'))
    assert.notEqual(box.fingerprint('hunter22'), box.fingerprint('hunter23'))
    assert.notEqual(box.fingerprint('hunter22'), other.fingerprint('hunter22'))
  })

  test('opens what earlier keys closed, and closes with the first', () => {
    const [first, second, third] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte))
    assert.ok(first && second && third)
    const stored = [first, second].map((key) => new SecretBox(key).encrypt('hunter22', 'p'))
    const ring = new SecretBox(third, [second, first])
    for (const one of stored) assert.equal(ring.decrypt(one, 'p'), 'hunter22')
    assert.equal(keyIdOf(ring.encrypt('x', 'p')), ring.keyId)
    assert.equal(ring.keyId, new SecretBox(third).keyId)
    assert.equal(ring.fingerprint('hunter22'), new SecretBox(third).fingerprint('hunter22'))
    assert.throws(() => ring.decrypt(stored[0] ?? '', 'q'), DecryptError)
    assert.deepEqual([ring.hasPrevious, new SecretBox(third, [third]).hasPrevious], [true, false])
    assert.ok(ring.hasKey(keyIdOf(stored[0] ?? '')) && !new SecretBox(third).hasKey(keyIdOf(stored[0] ?? '')))
  })

  test('names the key that a value needs, and not the value', () => {
    const stored = other.encrypt('hunter22', 'p')
    assert.throws(() => box.decrypt(stored, 'p'), new RegExp(`the key ${other.keyId}`))
    assert.equal(keyIdOf(stored), other.keyId)
    assert.equal(keyIdOf('hunter22'), '')
  })

  test('tells the length of a text without opening it', () => {
    for (const text of ['', 'a', 'ä', 'x'.repeat(32 * 1024)]) {
      assert.equal(sealedBytes(box.encrypt(text, 'p')), Buffer.byteLength(text))
    }
  })
})

describe('a file that is made once', () => {
  test('is for its owner only, and is read at the second time', async () => {
    const path = join(scratch, 'deep', 'er', 'token')
    assert.deepEqual(await readOrCreateFile(path, () => 'first'), { text: 'first', isNew: true })
    assert.deepEqual(await readOrCreateFile(path, () => 'second'), { text: 'first', isNew: false })
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(readFileSync(path, 'utf8'), 'first\n')
  })

  test('is the same for all who race to make it', async () => {
    for (let round = 0; round < 200; round++) {
      const path = join(scratch, `race-${round}`)
      const made = await Promise.all(
        ['one', 'two', 'three'].map((text) => readOrCreateFile(path, () => text)),
      )
      const onDisk = readFileSync(path, 'utf8').trim()
      assert.deepEqual(
        made.map(({ text }) => text),
        [onDisk, onDisk, onDisk],
        `round ${round}`,
      )
      assert.equal(made.filter(({ isNew }) => isNew).length, 1)
    }
  })

  test('is not taken for a secret while it is empty, as a maker that was killed leaves it', async () => {
    const path = join(scratch, 'empty')
    writeFileSync(path, '')
    await assert.rejects(
      readOrCreateFile(path, () => 'made'),
      /is empty: restore it/,
    )
  })

  test('takes away what makers that were killed left of it, and nothing of anybody else’s', async () => {
    const folder = mkdtempSync(join(scratch, 'left-'))
    const put = (name: string, secondsAgo: number) => {
      writeFileSync(join(folder, name), 'secret')
      const at = new Date(Date.now() - secondsAgo * 1000)
      utimesSync(join(folder, name), at, at)
    }
    put('token.0123abcd.new', 2 * 3600)
    put('token.4567cdef.new', 60) // being made
    put('token.20261201', 2 * 3600) // a person's backup
    put('tokens.0123abcd.new', 2 * 3600)
    await readOrCreateFile(join(folder, 'token'), () => 'made')
    const stay = ['token', 'token.20261201', 'token.4567cdef.new', 'tokens.0123abcd.new']
    assert.deepEqual(readdirSync(folder).sort(), stay)
  })

  test('that cannot be made is an error', async () => {
    writeFileSync(join(scratch, 'file'), '')
    await assert.rejects(readOrCreateFile(join(scratch, 'file', 'token'), () => 'x'))
  })
})
