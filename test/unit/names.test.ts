import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { CommandError } from '../../src/engine/command-error.js'
import { containerName, deploymentUrl, publicUrl, stageHost } from '../../src/engine/addresses.js'
import {
  checkAppName,
  checkCommand,
  checkDockerfilePath,
  checkPath,
  checkStageHost,
  checkVariables,
  createId,
} from '../../src/engine/names.js'

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

describe('the name of an app', () => {
  test('is 1 to 32 of a-z, 0-9 and single inner hyphens, first a letter', () => {
    for (const name of ['a', 'blog', 'my-blog-2', 'a1', repeat('a', 32)])
      assert.equal(checkAppName('field', name), name)
  })

  test('is refused where it would not fit a host, a container or a tag', () => {
    const bad = [
      '',
      '-a',
      'a-',
      '1a',
      'a--b',
      'A',
      'a_b',
      'a.b',
      'a/b',
      'a\n',
      'a b',
      'ä',
      '..',
      repeat('a', 33),
    ]
    for (const name of bad) refuses(() => checkAppName('field', name), name)
  })

  test('is refused where it would shadow a host of Longshore', () => {
    for (const name of ['api', 'www', 'traefik', 'admin', 'longshore', 'localhost']) {
      refuses(() => checkAppName('field', name), name)
    }
  })
})

describe('a path in the repository', () => {
  test('is given in canonical form', () => {
    const table = {
      '.': '.',
      './': '.',
      '': '.',
      a: 'a',
      './a//b/': 'a/b',
      'a/./b': 'a/b',
      '.x/..y': '.x/..y',
    }
    for (const [path, canonical] of Object.entries(table)) assert.equal(checkPath('field', path), canonical)
  })

  test('of a Dockerfile may leave the context, not the repository', () => {
    const table: readonly (readonly [context: string, path: string, canonical: string])[] = [
      ['.', 'Dockerfile', 'Dockerfile'],
      ['.', './docker//web/Dockerfile', 'docker/web/Dockerfile'],
      ['apps/web', '../../docker/Dockerfile', '../../docker/Dockerfile'],
      ['apps/web', '../Dockerfile', '../Dockerfile'],
      ['apps/web', '../web/Dockerfile', 'Dockerfile'],
      ['apps/web', 'a/../b', 'b'],
    ]
    for (const [context, path, canonical] of table) {
      assert.equal(checkDockerfilePath('field', path, context), canonical, path)
    }
    const outside = [
      ['.', '../Dockerfile'],
      ['web', '../../Dockerfile'],
      ['web', '/etc/passwd'],
      ['web', '../-x'],
      ['web', '../a\nb'],
      ['web', 'a/../../../x'],
    ] as const
    for (const [context, path] of outside) refuses(() => checkDockerfilePath('field', path, context), path)
  })

  test('is refused where it leaves the repository or looks like an option', () => {
    const bad = [
      '/',
      '/etc',
      '..',
      '../a',
      'a/../b',
      'a/..',
      './..',
      '-a',
      'a/-b',
      'a\\b',
      'C:x',
      'a\nb',
      'a\0',
      'a\x7f',
    ]
    for (const path of [...bad, repeat('a', 501)]) refuses(() => checkPath('field', path), path)
  })

  test('in canonical form stays as it is', () => {
    const part = fc.constantFrom('.', '..', '/', 'a', '-', ' ', 'b.c', '')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        let path: string
        try {
          path = checkPath('field', parts.join(''))
        } catch {
          return
        }
        assert.equal(checkPath('field', path), path)
        assert.ok(!path.startsWith('/') && !path.split('/').includes('..') && !/(^|\/)-/.test(path))
      }),
      { numRuns: 200 },
    )
  })
})

describe('variables', () => {
  const KIB = 1024
  const check = (...variables: { key: string; value: string }[]) => checkVariables('vars', variables)

  test('have keys of letters, digits and underscores', () => {
    check({ key: 'A', value: '' }, { key: '_b1', value: 'x\ny=z' }, { key: repeat('K', 128), value: '💚' })
    for (const key of ['', '1A', 'A-B', 'A B', 'A=B', 'A\n', 'Ä', repeat('K', 129)]) {
      refuses(() => check({ key: 'OK', value: '' }, { key, value: '' }), key, 'vars[1].key')
    }
  })

  test('have each key once', () => {
    check({ key: 'A', value: '1' }, { key: 'a', value: '2' })
    refuses(() => check({ key: 'A', value: '1' }, { key: 'A', value: '1' }), 'A', 'vars[1].key')
  })

  test('have values of at most 32 KiB, counted in bytes, without NUL', () => {
    check({ key: 'A', value: repeat('é', 16 * KIB) })
    refuses(() => check({ key: 'A', value: `${repeat('é', 16 * KIB)}x` }), 'long', 'vars[0].value')
    refuses(() => check({ key: 'A', value: 'a\0b' }), 'NUL', 'vars[0].value')
  })

  test('are at most 128 KiB together, keys included', () => {
    const four = ['A', 'B', 'C', 'D'].map((key) => ({ key, value: repeat('x', 32 * KIB - 1) }))
    check(...four)
    refuses(() => check(...four, { key: 'E', value: '' }), 'one more', 'vars')
  })

  test('of which one is refused do not show their values in the message', () => {
    assert.throws(
      () => check({ key: 'A', value: 's3cret\0' }),
      (error: Error) => !error.message.includes('s3cret'),
    )
  })
})

describe('what Longshore names itself', () => {
  test('ids are 12 of a-z and 0-9, first a letter, and do not repeat', () => {
    const ids = new Set([...Array(2000).keys()].map(() => createId()))
    assert.equal(ids.size, 2000)
    for (const id of ids) assert.match(id, /^[a-z][a-z0-9]{11}$/)
    assert.ok([...ids].some((id) => /[0-9]/.test(id)))
    for (const id of [...ids].slice(0, 50)) assert.equal(checkAppName('field', id), id)
  })

  test('the production stage has the app’s own host, the others a prefix that no app name can have', () => {
    assert.equal(stageHost('blog', 'production', 'paas.test'), 'blog.paas.test')
    assert.equal(stageHost('blog', 'preview', 'paas.test'), 'preview--blog.paas.test')
  })

  test('no app or stage takes the host of the API', () => {
    const own = { baseDomain: 'paas.test', publicUrl: 'https://deploy.paas.test:8443/' }
    checkStageHost('blog', 'production', own)
    checkStageHost('deploy', 'preview', own)
    refuses(() => checkStageHost('deploy', 'production', own), 'deploy', 'name')
    const dotted = { ...own, publicUrl: 'https://deploy.paas.test.' }
    refuses(() => checkStageHost('deploy', 'production', dotted), 'deploy', 'name')
    const preview = { ...own, publicUrl: 'https://preview--blog.paas.test' }
    refuses(() => checkStageHost('blog', 'preview', preview), 'preview', 'name')
  })

  test('a deployment has its own address while its container runs', () => {
    const at = { baseDomain: 'paas.test', publicPort: 8000 }
    assert.equal(containerName('blog', 'abc123'), 'blog-abc123')
    const running = { id: 'abc123', addresses: ['172.18.0.2'] }
    assert.equal(deploymentUrl(running, 'blog', at), 'http://blog-abc123.paas.test:8000')
    assert.equal(deploymentUrl({ ...running, addresses: null }, 'blog', at), null)
    assert.equal(publicUrl('h', 80), 'http://h')
    assert.equal(publicUrl('h', 443), 'https://h')
    // A deployment's own host has no certificate of its own.
    assert.equal(deploymentUrl(running, 'blog', { ...at, publicPort: 443 }), 'http://blog-abc123.paas.test')
  })
})

test('a command is a list of arguments, each as it is, within bounds', () => {
  const check = (words: string[]) => checkCommand('field', words)
  const words = ['serve', '', '--name=$HOME; rm', 'größe\n', '"']
  assert.deepEqual(check(words), words)
  assert.equal(check(Array<string>(100).fill('x')).length, 100)
  assert.equal(check(['x'.repeat(32 * 1024 - 1)]).length, 1)
  refuses(() => check([]), 'none')
  refuses(() => check(Array<string>(101).fill('x')), '101 arguments')
  refuses(() => check(['x'.repeat(32 * 1024)]), 'over 32 KiB')
  refuses(() => check(['serve', 'a\0b']), 'NUL', 'field[1]')
})
