import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { resolveUrl, urlsIn } from '../../src/engine/steps/gitmodules.js'

describe('.gitmodules', () => {
  test('gives the URL of each path, in whatever order and with what quotes git writes', () => {
    const text = `# comment
[submodule "one"]
\tpath = libs/one
\turl = https://host/one.git
[submodule "t\\"wo"]
  URL = "../t wo" ; comment
  path = "libs/t wo"
  branch = main
[other]
  path = no
[submodule "none"]
  path = libs/none
`
    const expected = { 'libs/one': 'https://host/one.git', 'libs/t wo': '../t wo' }
    assert.deepEqual(Object.fromEntries(urlsIn(text)), expected)
    assert.equal(urlsIn('').size, 0)
  })

  const RELATIVE: readonly [parent: string, url: string, expected: string][] = [
    ['https://host/me/app.git', '../lib.git', 'https://host/me/lib.git'],
    ['https://host/me/app/', '../../you/lib', 'https://host/you/lib'],
    ['https://host/me/app', './lib', 'https://host/me/app/lib'],
    ['https://host/me/app', './.././lib', 'https://host/me/lib'],
    ['git@host:me/app.git', '../lib.git', 'git@host:me/lib.git'],
    ['git@host:app.git', '../lib.git', 'git@host:lib.git'],
    ['ssh://git@host:22/me/app', '../lib', 'ssh://git@host:22/me/lib'],
    ['file:///srv/app', '../lib', 'file:///srv/lib'],
    ['https://host/me/app', 'https://other/lib', 'https://other/lib'],
  ]
  for (const [parent, url, expected] of RELATIVE) {
    test(`${url} of ${parent} is ${expected}`, () => assert.equal(resolveUrl(parent, url), expected))
  }
})
