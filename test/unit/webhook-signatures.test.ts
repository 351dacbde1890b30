import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { identify } from '../../src/engine/webhooks/forges.js'
import { isStandardSignature } from '../../src/engine/webhooks/signatures.js'
import { bitbucket, bitbucketServer, gitea, github, gitlab, gitlabSigned, sha } from '../support/forges.js'

// The values that GitHub, Bitbucket and Standard Webhooks publish for whoever writes a check.
const EVERYBODY = "It's a Secret to Everybody"
const GITHUB_SIGNATURE = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
const BITBUCKET_SIGNATURE = 'sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9'
const STANDARD = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': '1614265330',
  'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
}
const STANDARD_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const STANDARD_BODY = Buffer.from('{"test": 2432232314}')
const THEN = new Date(1614265330_000)
const check = (headers: Record<string, string>, receivedAt: Date) =>
  isStandardSignature({ headers, body: STANDARD_BODY, receivedAt }, STANDARD_SECRET)

const NOW = new Date()
const isGenuine = (headers: Record<string, string>, secret: string, body: string, now = NOW) =>
  identify(headers).isGenuine(secret, Buffer.from(body), now)

describe('signatures', () => {
  test('that the documentations publish are accepted, and no others', () => {
    const ofGitHub = { 'x-github-event': 'push', 'x-hub-signature-256': GITHUB_SIGNATURE }
    assert.ok(isGenuine(ofGitHub, EVERYBODY, 'Hello, World!'))
    assert.ok(!isGenuine(ofGitHub, EVERYBODY, 'Hello World!'))
    const ofBitbucket = { 'x-event-key': 'repo:push', 'x-hub-signature': BITBUCKET_SIGNATURE }
    assert.ok(isGenuine(ofBitbucket, EVERYBODY, 'Hello World!'))
    assert.ok(!isGenuine(ofBitbucket, 'another secret', 'Hello World!'))
    assert.ok(check(STANDARD, THEN))
  })

  test('by Standard Webhooks are void five minutes later or earlier, and may be one of several', () => {
    const at = (seconds: number) => new Date(THEN.getTime() + seconds * 1000)
    for (const seconds of [-299, 0, 299]) assert.ok(check(STANDARD, at(seconds)))
    for (const seconds of [-301, 301]) assert.ok(!check(STANDARD, at(seconds)))
    const several = `v1,AAAA ${STANDARD['webhook-signature']} v1a,BBBB`
    assert.ok(check({ ...STANDARD, 'webhook-signature': several }, THEN))
    for (const name of Object.keys(STANDARD)) assert.ok(!check({ ...STANDARD, [name]: '' }, THEN), name)
    assert.ok(!check({ ...STANDARD, 'webhook-id': 'msg_other' }, THEN))
  })

  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo='
  const facts = { ref: 'refs/heads/main', after: sha(2) }
  const genuine = {
    GitHub: github(secret, '{"zen":"Keep it simple."}', 'ping'),
    GitLab: gitlab(secret, '{}'),
    'GitLab, signed': gitlabSigned(secret, '{}'),
    Gitea: gitea(secret, facts),
    Forgejo: gitea(secret, facts, 'forgejo'),
    'Bitbucket Cloud': bitbucket(secret, [facts]),
    'Bitbucket Data Center': bitbucketServer(secret, facts),
  }
  for (const [name, { headers, body }] of Object.entries(genuine)) {
    test(`of ${name} count for one secret and one body only`, () => {
      assert.ok(isGenuine(headers, secret, body))
      assert.ok(!isGenuine(headers, secret.replace('MfKQ', 'MfKR'), body))
      assert.ok(!isGenuine(headers, '', body))
      if (name !== 'GitLab') assert.ok(!isGenuine(headers, secret, `${body} `))
      const bare = Object.entries(headers).filter(([header]) => !/signature|token/.test(header))
      assert.ok(!isGenuine(Object.fromEntries(bare), secret, body))
    })
  }

  test('of GitLab are not replaced by the token where a signature is sent', () => {
    const { headers, body } = gitlabSigned(secret, '{}')
    const wrong = { ...headers, 'webhook-signature': 'v1,AAAA', 'x-gitlab-token': secret }
    assert.ok(!isGenuine(wrong, secret, body))
  })

  test('given twice, or with SHA-1, count as none', () => {
    const { headers, body } = github(secret, '{}')
    const signature = headers['x-hub-signature-256'] ?? ''
    const twice = identify({ ...headers, 'x-hub-signature-256': [signature, signature] })
    assert.ok(!twice.isGenuine(secret, Buffer.from(body), NOW))
    const { 'x-hub-signature-256': _none, ...rest } = headers
    assert.ok(!isGenuine({ ...rest, 'x-hub-signature': signature }, secret, body))
  })

  test('of a body that is signed alone make the body count, whatever id it comes under', () => {
    const keysOf = ({ headers, body }: { headers: Record<string, string>; body: string }) =>
      identify(headers).keys(Buffer.from(body))
    const first = keysOf(github(secret, '{"a":1}', 'push', 'one'))
    const second = keysOf(github(secret, '{"a":1}', 'push', 'two'))
    assert.deepEqual([first.deliveryKey, second.deliveryKey], ['one', 'two'])
    assert.equal(first.bodyHash, second.bodyHash)
    assert.equal(keysOf(gitlab(secret, '{}')).bodyHash, null)
  })
})
