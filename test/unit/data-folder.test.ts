import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { protectDataFolder } from '../../src/data-folder.js'

describe('the data folder', () => {
  const root = mkdtempSync(join(tmpdir(), 'longshore-data-'))
  after(() => rmSync(root, { recursive: true, force: true }))
  const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

  test('is made so that nobody else lists it or reads the mirrors, whatever the umask', async () => {
    const before = process.umask(0)
    try {
      await protectDataFolder(join(root, 'new/data'))
    } finally {
      process.umask(before)
    }
    assert.deepEqual([modeOf(join(root, 'new/data')), modeOf(join(root, 'new/data/mirrors'))], ['711', '700'])
  })

  test('is mended where an earlier version made it, and keeps what is in it', async () => {
    const data = join(root, 'old')
    mkdirSync(join(data, 'mirrors'), { recursive: true })
    writeFileSync(join(data, 'mirrors/kept'), 'kept')
    for (const path of [data, join(data, 'mirrors')]) chmodSync(path, 0o755)
    await protectDataFolder(data)
    assert.deepEqual([modeOf(data), modeOf(join(data, 'mirrors'))], ['711', '700'])
    assert.ok(statSync(join(data, 'mirrors/kept')).isFile())
  })
})
