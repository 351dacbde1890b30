import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import {
  addKey,
  forgetPreviousKeys,
  keyFile,
  makeKeyFile,
  readKeys,
} from '../../src/engine/secrets/master-key.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'

const scratch = mkdtempSync(join(tmpdir(), 'longshore-master-key-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const folder = () => mkdtempSync(join(scratch, 'data-'))
const fromFile = (dataDir: string) => readKeys({ masterKey: null, masterKeyPrevious: null, dataDir })

describe('the master key', () => {
  test('is the same from a setting in hex, in base64 and from the file', async () => {
    const key = Buffer.from([...Array(32).keys()])
    const dataDir = folder()
    writeFileSync(keyFile(dataDir), `${key.toString('hex')}\n`)
    const ids = [(await fromFile(dataDir))?.keyId]
    for (const masterKey of [
      key.toString('hex'),
      key.toString('hex').toUpperCase(),
      key.toString('base64'),
    ]) {
      ids.push((await readKeys({ masterKey, masterKeyPrevious: null, dataDir }))?.keyId)
    }
    assert.deepEqual(new Set(ids), new Set([new SecretBox(key).keyId]))
  })

  test('that is set comes before the file, and the previous one opens', async () => {
    const dataDir = folder()
    await makeKeyFile(dataDir)
    const [masterKey, masterKeyPrevious] = ['a'.repeat(64), 'b'.repeat(64)]
    const both = await readKeys({ masterKey, masterKeyPrevious, dataDir })
    const previous = new SecretBox(Buffer.from(masterKeyPrevious, 'hex'))
    assert.equal(both?.decrypt(previous.encrypt('hunter22', 'p'), 'p'), 'hunter22')
    assert.equal(both?.keyId, new SecretBox(Buffer.from(masterKey, 'hex')).keyId)
  })

  test('is made where it is asked for and not where it is read', async () => {
    const dataDir = folder()
    assert.equal(await fromFile(dataDir), null)
    const made = await makeKeyFile(dataDir)
    assert.equal((await fromFile(dataDir))?.keyId, made.keyId)
    assert.equal(statSync(keyFile(dataDir)).mode & 0o777, 0o600)
  })

  test('in a file that holds anything else is an error: it is never made anew over one that is damaged', async () => {
    const dataDir = folder()
    for (const text of ['', '\n', 'hunter22\n', `${'a'.repeat(63)}\n`, `${'a'.repeat(64)}\nrubbish\n`]) {
      writeFileSync(keyFile(dataDir), text)
      await assert.rejects(fromFile(dataDir), /restore it from a backup/)
      await assert.rejects(makeKeyFile(dataDir).then(() => fromFile(dataDir)))
    }
  })

  test('is changed in steps: a new one before the old one, again without another, then the old one goes', async () => {
    const dataDir = folder()
    const old = await makeKeyFile(dataDir)
    const stored = old.encrypt('hunter22', 'p')
    await addKey(dataDir)
    const both = await fromFile(dataDir)
    assert.equal(both?.decrypt(stored, 'p'), 'hunter22')
    assert.notEqual(both?.keyId, old.keyId)
    await addKey(dataDir)
    assert.equal((await fromFile(dataDir))?.keyId, both?.keyId)
    await forgetPreviousKeys(dataDir)
    const last = await fromFile(dataDir)
    assert.equal(last?.keyId, both?.keyId)
    assert.equal(last?.hasPrevious, false)
    assert.throws(() => last?.decrypt(stored, 'p'))
    assert.equal(statSync(keyFile(dataDir)).mode & 0o777, 0o600)
    assert.deepEqual(readdirSync(dataDir), ['master-key'])
    assert.match(readFileSync(keyFile(dataDir), 'utf8'), /^[0-9a-f]{64}\n$/)
  })
})
