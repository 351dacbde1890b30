import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { INSTALLED_PACKAGES, type Package } from '../support/installed-packages.js'

const { missingPackages } = INSTALLED_PACKAGES
const LINUX = { platform: 'linux', arch: 'x64' } as const

const at = (version: string, about: Partial<Package> = {}): Package => ({
  version,
  integrity: `sha512-${version}`,
  ...about,
})
const HERE = { optional: true, os: ['linux'], cpu: ['x64'] }
const WANTED: Record<string, Package> = {
  '': { optionalDependencies: { here: '1.0.0', there: '1.0.0', not: '1.0.0' } },
  'node_modules/run': at('1.0.0'),
  'node_modules/run/node_modules/inner': at('1.1.0'),
  'node_modules/dev': at('2.0.0', { dev: true }),
  'node_modules/dev-optional': at('2.1.0', { devOptional: true }),
  'node_modules/dev-other-machine': at('2.2.0', { dev: true, optional: true, os: ['darwin'] }),
  'node_modules/here': at('3.0.0', HERE),
  'node_modules/there': at('3.1.0', { ...HERE, os: ['darwin'] }),
  'node_modules/not': at('3.2.0', { ...HERE, os: ['!linux'] }),
  'node_modules/of-another': at('3.3.0', { optional: true }),
}
const OF_OTHERS = [
  '',
  ...['dev-other-machine', 'there', 'not', 'of-another'].map((name) => `node_modules/${name}`),
]
/** As npm writes them for Linux, with some taken away (null) or changed. */
const there = (change: Record<string, Package | null> = {}): Record<string, Package> => {
  const here = Object.entries(WANTED).filter(([path]) => !OF_OTHERS.includes(path))
  const all: [string, Package | null][] = [...here, ...Object.entries(change)]
  const gone = Object.keys(change).filter((path) => change[path] === null)
  return Object.fromEntries(
    all.flatMap(([path, about]) => (about === null || gone.includes(path) ? [] : [[path, about]])),
  )
}
const missing = (change?: Record<string, Package | null>, need: 'all' | 'production' = 'all') =>
  missingPackages(WANTED, there(change), need, LINUX)

describe('of what package-lock.json wants is missing', () => {
  test('nothing, where only what is of other machines is not there', () => {
    assert.deepEqual(missing(), [])
    assert.deepEqual(
      missing({ 'node_modules/of-nobody': at('9.0.0') }),
      [],
      'what is there beside is nobody’s matter',
    )
  })

  test('what is not there, or in another version, at any depth', () => {
    assert.deepEqual(missing({ 'node_modules/run': null }), ['node_modules/run'])
    const inner = 'node_modules/run/node_modules/inner'
    assert.deepEqual(missing({ [inner]: at('1.0.9') }), [inner])
    assert.deepEqual(missing({ [inner]: at('1.1.0', { integrity: 'sha512-other' }) }), [inner])
    assert.deepEqual(missing({ 'node_modules/there': at('3.0.9') }), ['node_modules/there'])
  })

  test('what compiles and tests, where more is needed than what runs', () => {
    const production = {
      'node_modules/dev': null,
      'node_modules/dev-optional': null,
      'node_modules/here': null,
    }
    assert.deepEqual(missing(production, 'production'), [])
    assert.deepEqual(missing(production), Object.keys(production))
    assert.deepEqual(missing({ 'node_modules/run': null }, 'production'), ['node_modules/run'])
  })

  test('nothing, whether or not npm writes where packages are from', () => {
    const resolved = 'https://registry.example/run.tgz'
    assert.deepEqual(missing({ 'node_modules/run': at('1.0.0', { resolved }) }), [])
    const git = (commit: string) => ({
      'node_modules/git': { version: '1.0.0', resolved: `git+ssh://h/r#${commit}` },
    })
    assert.deepEqual(missingPackages(git('aa'), git('aa'), 'all'), [])
    assert.deepEqual(missingPackages(git('aa'), git('bb'), 'all'), ['node_modules/git'])
  })
})
