import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CommandError } from '../../src/engine/command-error.js'
import { checkGivenRepository, originOf } from '../../src/engine/repository-url.js'

describe('a token in the URL of a repository', () => {
  test('is taken out of it, in each form that forges show', () => {
    const rows: [userinfo: string, username: string | null, token: string][] = [
      ['me:t0ken', 'me', 't0ken'],
      ['t0ken', null, 't0ken'],
      ['t0ken:', null, 't0ken'],
      ['t0ken:x-oauth-basic', null, 't0ken'],
      [':t0ken', null, 't0ken'],
      ['x-token-auth:a%2Fb%40c', 'x-token-auth', 'a/b@c'],
      ['me:a:b', 'me', 'a:b'],
    ]
    for (const [userinfo, username, token] of rows) {
      const given = checkGivenRepository('repoUrl', `https://${userinfo}@h:8443/a/b.git`, false)
      assert.deepEqual(given, { repoUrl: 'https://h:8443/a/b.git', token: { username, token } })
    }
    const clean = checkGivenRepository('repoUrl', 'https://h/a@b', false)
    assert.deepEqual(clean, { repoUrl: 'https://h/a@b', token: null })
  })

  test('is refused without being repeated where it is none, or the rest is no URL', () => {
    for (const url of [
      'https://@h/a',
      'https://:@h/a',
      'https://me:s3cret%0a@h/a',
      'https://me:s3cret%@h/a',
      'https://me:s3cret@h/../a',
      'https://me:s3cret@@h/a',
      'https://me:s3cret@',
    ]) {
      const isClear = (error: unknown) =>
        error instanceof CommandError && error.field === 'repoUrl' && !error.message.includes('s3cret')
      assert.throws(() => checkGivenRepository('repoUrl', url, false), isClear, url)
    }
  })
})

test('a credential belongs to a protocol, a host and a port', () => {
  for (const url of ['https://H/a', 'https://h:443/b']) assert.equal(originOf(url), 'https://h:443')
  for (const url of ['git@h:a/b.git', 'ssh://h/a', 'ssh://x@h:22/a'])
    assert.equal(originOf(url), 'ssh://h:22')
  assert.equal(originOf('ssh://git@h:2222/a'), 'ssh://h:2222')
  assert.equal(originOf('file:///srv/a'), null)
})
