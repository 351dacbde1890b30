import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { CommandError } from '../../src/engine/command-error.js'
import { checkRepoUrl } from '../../src/engine/names.js'
import { checkRef } from '../../src/engine/ref-names.js'

/** The check must refuse, as bad input of this field, and say so with the field's name. */
function refuses(check: () => unknown, what: string, field = 'field'): void {
  assert.throws(
    check,
    (error: unknown) => {
      assert.ok(error instanceof CommandError, String(error))
      assert.deepEqual([error.code, error.field], ['BAD_USER_INPUT', field])
      assert.ok(error.message.startsWith(`${field}: `))
      return true
    },
    `accepted ${JSON.stringify(what.slice(0, 100))}`,
  )
}

const repeat = (text: string, count: number): string => text.repeat(count)

describe('the URL of a repository', () => {
  test('is https, ssh or what scp takes, as it was given', () => {
    const same = [
      'https://github.com/a/b.git',
      'https://git.host:8443/a/b',
      'https://h/~user/a%20b',
      'ssh://git@host/a/b.git',
      'ssh://host:2222/a',
    ]
    for (const url of same) assert.equal(checkRepoUrl('field', url, false), url)
    assert.equal(checkRepoUrl('field', 'git@github.com:a/b.git', false), 'git@github.com:a/b.git')
  })

  test('is refused where git would run a program, read a local file or take an option', () => {
    const programs = [
      'ext::sh -c evil',
      'ext::sh',
      'fd::3',
      'https::http://h/a',
      '--upload-pack=evil',
      '-x',
      '-u@h:a',
    ]
    const hosts = [
      'ssh://-oProxyCommand=evil/a',
      'ssh://-o@host/a',
      'git@-oProxyCommand=evil:a',
      'https://-h/a',
    ]
    const local = ['/srv/repo', './repo', '../repo', 'repo', 'C:\\repo', 'file:/srv/repo', 'file://host/repo']
    const other = [
      '',
      'http://h/a',
      'git://h/a',
      'ftp://h/a',
      'HTTPS://h/a',
      'javascript:x',
      'git@host:/a',
      'host:a',
    ]
    for (const url of [...programs, ...hosts, ...local, ...other])
      refuses(() => checkRepoUrl('field', url, false), url)
  })

  test('is refused with parts that could mean something else', () => {
    const bad = [
      'https://h/a/../b',
      'git@h:a/../../b',
      'https://h',
      'https://h/',
      'https://h/a?b',
      'https://h/a#b',
    ]
    const characters = [
      'https://h/a b',
      'https://h/a\n',
      '\nhttps://h/a',
      'https://h/a\r\nX: y',
      'https://h/\0',
      'https://h/ä',
    ]
    const long = `https://h/${repeat('a', 2048)}`
    for (const url of [...bad, ...characters, long]) refuses(() => checkRepoUrl('field', url, true), url)
  })

  test('is refused with credentials, which are not repeated in the message', () => {
    for (const url of [
      'https://me:s3cret@h/a',
      'https://s3cret@h/a',
      'HTTP://s3cret@h/a',
      'ssh://git:s3cret@h/a',
      'https://me:s3cret/more@h/a',
      'sh://me:s3cret@h/a',
    ]) {
      refuses(() => checkRepoUrl('field', url, true), url)
      assert.throws(
        () => checkRepoUrl('field', url, true),
        (error: Error) =>
          /user name or password|it is not https/.test(error.message) && !error.message.includes('s3cret'),
      )
    }
  })

  test('may be file:// only where the operator allows it', () => {
    assert.equal(checkRepoUrl('field', 'file:///srv/repo.git', true), 'file:///srv/repo.git')
    refuses(() => checkRepoUrl('field', 'file:///srv/repo.git', false), 'file: off')
    for (const url of ['file:///srv/../etc', 'file://host/a', 'file:///', 'FILE:///srv/a']) {
      refuses(() => checkRepoUrl('field', url, true), url)
    }
  })
})

test('what is accepted as a ref or a URL is no option and has no white space or control character', () => {
  const piece = fc.constantFrom(
    'https://',
    'ssh://',
    'file:///',
    'git@',
    'ext::',
    'h',
    ':',
    '/',
    '-',
    '--x=',
    '.',
    '@',
    'a',
  )
  const any = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(fc.oneof({ weight: 8, arbitrary: piece }, fc.string({ maxLength: 1 })), { maxLength: 8 })
      .map((all) => all.join('')),
  )
  const checks = [(text: string) => checkRef('f', text), (text: string) => checkRepoUrl('f', text, true)]
  let accepted = 0
  const examples: [string][] = [
    ['-a'],
    ['main\n'],
    ['https://h/a\n'],
    ['https://h/a'],
    ['git@h:-a'],
    ['\u2028a'],
  ]
  fc.assert(
    fc.property(any, (text) => {
      for (const check of checks) {
        let result: string
        try {
          result = check(text)
        } catch {
          continue
        }
        accepted += 1
        // oxlint-disable-next-line no-control-regex
        assert.doesNotMatch(result, /^-|[\x00-\x20\x7f]/)
        assert.ok(!/:\/\/-/.test(result), 'a host must not be an option either')
      }
    }),
    { numRuns: 200, examples },
  )
  assert.ok(accepted > 0, 'nothing was accepted: this test tests nothing')
})
