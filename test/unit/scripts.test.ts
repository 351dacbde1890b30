import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

const SCRIPTS = join(import.meta.dirname, '../../../scripts')
/** What the image starts reads no arguments. */
const OTHERS = ['serve.mjs']

describe('a script', () => {
  for (const name of readdirSync(SCRIPTS).filter((file) => file.endsWith('.mjs') && !OTHERS.includes(file))) {
    test(`${name} says what it takes, and does nothing with an option that it does not have`, () => {
      const help = run(name, '--help')
      assert.equal(help.status, 0, help.stderr)
      assert.match(help.stdout, /^npm (start|test|run [a-z:-]+)/)
      const wrong = run(name, '--nonsense')
      assert.equal(wrong.status, 1)
      assert.equal(wrong.stdout, '')
      assert.match(wrong.stderr, /Unknown option '--nonsense'/)
    })
  }
})

function run(name: string, ...args: string[]) {
  return spawnSync(process.execPath, [join(SCRIPTS, name), ...args], { encoding: 'utf8', timeout: 60_000 })
}
