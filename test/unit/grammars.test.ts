import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { CommandError } from '../../src/engine/command-error.js'
import { stageHost } from '../../src/engine/addresses.js'
import {
  checkAppName,
  checkDomain,
  checkHealthPath,
  checkPath,
  checkRef,
  checkRepoUrl,
  checkStageName,
  checkVariables,
} from '../../src/engine/names.js'

const LOCAL = { baseDomain: 'localhost', publicUrl: 'http://127.0.0.1:3000' }
const OWN = { baseDomain: 'paas.example.com', publicUrl: 'https://deploy.example.org:8443' }

/** What has broken out of a name somewhere. */
const HOSTILE = [
  ...'; & | ` $( ${ ) ( < > " \' \\ * ? ~ ! # % @ = - -- -u --upload-pack= -oProxyCommand= .. . ../ /.. / // /./'.split(
    ' ',
  ),
  ...'ext:: fd:: file:// http:// https:// ssh:// .lock @{ : :: git@ user:pass@ .git {{ }} %2e%2e %00 Host(`'.split(
    ' ',
  ),
  ...'a b1 x-y example.com localhost main feature/x İ ｅ 。 💚'.split(' '),
  ...[' ', '\t', '\n', '\r', '\0', '\x1b[', '\x7f', '\u2028', '\u202e', '\u200b', '`) || '],
]

/** Whole strings of chance, and strings of what is known to hurt. */
const input = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.array(fc.constantFrom(...HOSTILE), { maxLength: 6 }).map((parts) => parts.join('')),
  fc
    .tuple(fc.constantFrom(...HOSTILE), fc.stringMatching(/^[a-z0-9./-]{0,20}$/))
    .map((parts) => parts.join('')),
  fc
    .tuple(fc.stringMatching(/^[a-z][a-z0-9./-]{0,20}$/), fc.constantFrom(...HOSTILE))
    .map((parts) => parts.join('')),
)

/**
 * For any input the check either refuses it as bad input of its field, or gives something that `holds` agrees with.
 * Says how many were accepted: a grammar that refuses all would pass.
 */
function everyInput(
  check: (text: string) => string,
  holds: (accepted: string, given: string) => void,
  numRuns = 3_000,
): number {
  let accepted = 0
  fc.assert(
    fc.property(input, (text) => {
      let result: string
      try {
        result = check(text)
      } catch (error) {
        assert.ok(error instanceof CommandError, `${JSON.stringify(text)}: ${String(error)}`)
        assert.equal(error.code, 'BAD_USER_INPUT')
        assert.ok(error.field?.startsWith('field'))
        return
      }
      accepted += 1
      holds(result, text)
    }),
    { numRuns },
  )
  return accepted
}

/** One label of a DNS name: what a container, an image and a Traefik rule can be named without any quoting. */
function assertLabel(text: string): void {
  assert.ok(text.length >= 1 && text.length <= 63)
  assert.ok(
    [...text].every((letter) => 'abcdefghijklmnopqrstuvwxyz0123456789-'.includes(letter)),
    text,
  )
  assert.ok(!text.startsWith('-') && !text.endsWith('-'))
}

describe('whatever is given as', () => {
  test('the name of an app is refused or is a DNS label', () => {
    assert.ok(everyInput((text) => checkAppName('field', text), assertLabel) > 20)
  })

  test('the name of a stage is refused or makes a DNS label with any app, and no app is called like it', () => {
    const app = 'a'.repeat(32)
    const accepted = everyInput(
      (text) => checkStageName('field', text),
      (name) => {
        const [label = '', ...rest] = stageHost(app, name, 'paas.test').split('.')
        assertLabel(label)
        assert.equal(rest.join('.'), 'paas.test')
        if (name !== 'production') assert.throws(() => checkAppName('field', label))
      },
    )
    assert.ok(accepted > 20)
  })

  test('a domain is refused or is a name of labels, outside of the names that Longshore gives out', () => {
    const accepted = everyInput(
      (text) => checkDomain('field', text, OWN),
      (host) => {
        const labels = host.split('.')
        assert.ok(labels.length >= 2 && `www.${host}`.length <= 253)
        for (const label of labels) assertLabel(label)
        assert.ok(
          !host.endsWith('.paas.example.com') && host !== 'example.com' && !host.endsWith('.localhost'),
        )
        assert.equal(`Host(\`${host}\`)`.split('`').length, 3)
        assert.equal(checkDomain('field', host, OWN), host)
      },
      15_000, // few of them are domains
    )
    assert.ok(accepted > 5)
    for (const host of ['Shop.Example.ORG', 'bücher.example', 'a.b.c.example.net.']) {
      assert.match(checkDomain('field', host, LOCAL), /^[a-z0-9.-]+$/)
    }
  })

  test('no domain takes the host of the API, nor is sent to or from it', () => {
    const taken = (host: string, own: typeof OWN) =>
      assert.throws(
        () => checkDomain('host', host, own),
        /host of Longshore's API/,
        `${host} at ${own.publicUrl}`,
      )
    // The last two are the same name in IDNA: wide letters, the dots of East Asia.
    const spellings = [
      'deploy.example.org',
      'DEPLOY.Example.org.',
      'ｄeploy.example.org',
      'deploy。example．org',
    ]
    for (const address of ['https://deploy.example.org:8443', 'https://Deploy.example.org./api']) {
      const own = { ...OWN, publicUrl: address }
      for (const host of [...spellings, 'www.deploy.example.org']) taken(host, own)
    }
    const inGerman = { ...OWN, publicUrl: 'https://xn--bcher-kva.example' }
    for (const host of ['bücher.example', 'BÜCHER.example.']) taken(host, inGerman)
    const www = { ...OWN, publicUrl: 'https://www.example.net/longshore' }
    assert.throws(() => checkDomain('host', 'example.net', www), /host of Longshore's API/)
    for (const host of ['shop.deploy.example.org', 'example.org'])
      assert.equal(checkDomain('host', host, OWN), host)
  })

  test('a reference is refused or is no option, no path and no revision expression', () => {
    const accepted = everyInput(
      (text) => checkRef('field', text),
      (ref, given) => {
        assert.equal(ref, given)
        assert.match(ref, /^[A-Za-z0-9_]/)
        for (const part of [
          '..',
          '//',
          '@{',
          '\\',
          ' ',
          ':',
          '~',
          '^',
          '?',
          '*',
          '[',
          '\n',
          '\0',
          ';',
          '$',
          '`',
        ])
          assert.ok(!ref.includes(part), ref)
      },
    )
    assert.ok(accepted > 50)
  })

  test('a path is refused or stays in the repository', () => {
    const accepted = everyInput(
      (text) => checkPath('field', text),
      (path) => {
        assert.ok(join('/root/of', path).startsWith('/root/of'))
        assert.ok(!join('/root/of', path).split('/').includes('..'))
        assert.ok(!path.startsWith('-') && !/[\n\r\0\\:]/.test(path))
        assert.equal(checkPath('field', path), path)
      },
    )
    assert.ok(accepted > 50)
  })

  test('a repository is refused or goes over https or ssh, to a host that is no option, without credentials', () => {
    const prefixed = (prefix: string) => (text: string) => checkRepoUrl('field', `${prefix}${text}`, false)
    let accepted = 0
    for (const prefix of [
      '',
      'https://git.example.com/',
      'ssh://git@git.example.com/',
      'git@git.example.com:',
    ]) {
      accepted += everyInput(prefixed(prefix), (url) => {
        assert.ok(
          /^(https:\/\/|ssh:\/\/)[A-Za-z0-9]/.test(url) ||
            /^[A-Za-z0-9_][^-/:@]*@[A-Za-z0-9][^/:]*:[^-/]/.test(url),
          url,
        )
        assert.ok(!/^https:\/\/[^/]*@/.test(url) && !/^ssh:\/\/[^/]*:[^/]*@/.test(url), url)
        assert.ok(!url.split(/[/:]/).includes('..'), url)
        assert.match(url, /^[\x21-\x7e]+$/)
        assert.ok(!/[;&|`$<>"'\\(){}*?#]/.test(url), url)
      })
    }
    assert.ok(accepted > 50)
  })

  test('the path of a health check is refused or is one line of a request', () => {
    const accepted = everyInput(
      (text) => checkHealthPath('field', `/${text}`),
      (path) => assert.match(path, /^\/[\x21-\x7e]*$/),
    )
    assert.ok(accepted > 50)
  })

  test('the key of a variable is refused or is a name that no `=`, line or NUL is in', () => {
    const accepted = everyInput(
      (key) => {
        checkVariables('field', [{ key, value: '' }])
        return key
      },
      (key) => assert.ok([...key].every((letter) => /\w/.test(letter)) && !/^\d/.test(key) && key !== ''),
    )
    assert.ok(accepted > 20)
  })
})
