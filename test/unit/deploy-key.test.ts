import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDeployKey } from '../../src/engine/secrets/deploy-key.js'

test('a deploy key is one that OpenSSH reads, and each is another', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'longshore-key-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'key')
  const keys = ['longshore-a', 'longshore-shop', 'x'].map(createDeployKey)
  for (const { publicKey, privateKey } of keys) {
    writeFileSync(file, privateKey, { mode: 0o600 })
    assert.equal(execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' }).trim(), publicKey)
  }
  assert.equal(new Set(keys.map(({ publicKey }) => publicKey)).size, keys.length)
})
