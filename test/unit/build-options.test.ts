import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  checkBuildArgs,
  checkPlatform,
  checkTarget,
  looksSecret,
} from '../../src/engine/configuration/build-options.js'
import { CommandError } from '../../src/engine/command-error.js'

function refused(field: string) {
  return (error: unknown) =>
    error instanceof CommandError && error.code === 'BAD_USER_INPUT' && error.field === field
}

describe('what a user says of a build', () => {
  for (const target of ['web', 'build-env', 'Stage_2.1', '0']) {
    test(`the target ${target} is one`, () => assert.equal(checkTarget('target', target), target))
  }
  for (const target of ['', '-web', 'a b', 'a\nb', 'ä', 'x'.repeat(129)]) {
    test(`the target ${JSON.stringify(target).slice(0, 20)} is refused`, () =>
      assert.throws(() => checkTarget('target', target), refused('target')))
  }
  for (const platform of ['linux/amd64', 'linux/arm/v7', 'windows/amd64']) {
    test(`the platform ${platform} is one`, () => assert.equal(checkPlatform('platform', platform), platform))
  }
  for (const platform of [
    '',
    'amd64',
    'linux/',
    '/amd64',
    'Linux/AMD64',
    'linux/amd64,linux/arm64',
    'a/b/c/d',
  ]) {
    test(`the platform ${JSON.stringify(platform)} is refused`, () =>
      assert.throws(() => checkPlatform('platform', platform), refused('platform')))
  }

  test('arguments come as they were given, whatever their values are', () =>
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/), fc.string({ maxLength: 50 })),
        (args) => {
          const entries = Object.entries(args).filter(([, value]) => !value.includes('\0'))
          const given = entries.map(([key, value]) => ({ key, value }))
          assert.deepEqual(Object.entries(checkBuildArgs('buildArgs', given)).sort(), entries.sort())
        },
      ),
    ))

  const wrong: [field: string, args: { key: string; value: string }[]][] = [
    ['buildArgs[0].key', [{ key: 'A=B', value: '' }]],
    ['buildArgs[0].key', [{ key: '1A', value: '' }]],
    ['buildArgs[1].key', ['A', 'A'].map((key) => ({ key, value: '' }))],
    ['buildArgs[0].value', [{ key: 'A', value: 'a\0b' }]],
    ['buildArgs[0].value', [{ key: 'A', value: 'x'.repeat(4097) }]],
    ['buildArgs', Array.from({ length: 9 }, (_, index) => ({ key: `A${index}`, value: 'x'.repeat(4096) }))],
  ]
  for (const [field, args] of wrong) {
    test(`${JSON.stringify(args).slice(0, 60)} is refused at ${field}`, () =>
      assert.throws(() => checkBuildArgs('buildArgs', args), refused(field)))
  }

  test('names of secrets are known from others', () => {
    const secret = [
      'PASSWORD',
      'DB_PASSWORD',
      'NPM_TOKEN',
      'api_key',
      'AWS_SECRET_ACCESS_KEY',
      'SENTRY_APIKEY',
    ]
    const plain = ['NODE_VERSION', 'TOKENIZER', 'KEYBOARD', 'PASSENGER_COUNT', 'PUBLIC_KEY_URL', 'MONKEY']
    assert.deepEqual(
      secret.filter((name) => !looksSecret(name)),
      [],
    )
    assert.deepEqual(plain.filter(looksSecret), [])
  })
})
