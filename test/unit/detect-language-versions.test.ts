import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { json, problem, recipe } from '../support/detected.js'

const NODE = { 'package.json': json({ main: 'index.js' }), 'index.js': '' }
const PYTHON = { 'main.py': '', 'requirements.txt': '' }
const RUST = { 'Cargo.toml': '[package]\nname = "a"\n', 'src/main.rs': '' }
const engines = (node: string) => ({ 'package.json': json({ main: 'index.js', engines: { node } }) })
const mise = (text: string) => ({ 'mise.toml': `[env]\nnode = "9"\n[tools]\n${text}\n` })

/** Files, the version that is built with, and what the log says of it. */
type Row = readonly [files: Record<string, string>, version: string, note: RegExp]

const OF_NODE: readonly Row[] = [
  [{}, '24', /^Node\.js 24: the default; name one in \.nvmrc/],
  [{ '.nvmrc': '# our server\n\nv20.11.1 # as there\n' }, '20', /by \.nvmrc$/],
  [{ '.nvmrc': 'lts/*' }, '24', /by \.nvmrc$/],
  [{ '.nvmrc': 'lts/Iron' }, '20', /by \.nvmrc$/],
  [{ '.nvmrc': 'node\r\n' }, '24', /by \.nvmrc$/],
  [{ '.node-version': '18' }, '18', /by \.node-version$/],
  [{ '.tool-versions': 'ruby 3.3\nnodejs 22.3.0 20.1.0\n' }, '22', /by \.tool-versions$/],
  [mise('node = "20"'), '20', /by mise\.toml$/],
  [mise('node = ["22", "20"]'), '22', /by mise\.toml$/],
  [mise('node = { version = "lts/jod" }'), '22', /by mise\.toml$/],
  [{ 'package.json': json({ main: 'index.js', volta: { node: '20.1.0' } }) }, '20', /by "volta"/],
  [engines('>=18 <21'), '20', /by "engines"/],
  [engines('latest'), '24', /by "engines"/],
  [{ '.nvmrc': 'whatever' }, '24', /default.*what \.nvmrc says is not understood/],
  [{ '.nvmrc': '28' }, '28', /by \.nvmrc$/],
]

const OF_PYTHON: readonly Row[] = [
  [{}, '3.14', /^Python 3\.14: the default; name one in \.python-version/],
  [{ '.python-version': '# pinned\n3.11.4 # not 3.12\n3.9\n' }, '3.11', /by \.python-version$/],
  [{ '.python-version': 'cpython-3.12.1' }, '3.12', /by \.python-version$/],
  [{ '.python-version': '3' }, '3.14', /by \.python-version$/],
  [{ 'runtime.txt': 'python-3.10.9\n' }, '3.10', /by runtime\.txt$/],
  [{ '.tool-versions': 'python 3.12.3' }, '3.12', /by \.tool-versions$/],
  [mise('python = "3.11"'), '3.11', /by mise\.toml$/],
  [{ 'pyproject.toml': '[project]\nrequires-python = ">=3.9,<3.12"\n' }, '3.11', /by pyproject\.toml$/],
]

const OF_RUST: readonly Row[] = [
  [{}, '1', /^Rust 1: the newest 1\.x, the default/],
  [{ 'rust-toolchain': '1.79.0\n' }, '1.79', /by rust-toolchain$/],
  [
    { 'rust-toolchain.toml': '[toolchain]\nchannel = "1.80" # as in CI\n' },
    '1.80',
    /by rust-toolchain\.toml$/,
  ],
  [{ 'rust-toolchain.toml': '[toolchain]\nchannel = "nightly-2025-01-01"\n' }, '1', /rustup/],
  [{ '.tool-versions': 'rust 1.81.0' }, '1.81', /by \.tool-versions$/],
]

describe('the version of a language', () => {
  for (const [language, files, rows, image] of [
    ['Node.js', NODE, OF_NODE, 'node'],
    ['Python', PYTHON, OF_PYTHON, 'python'],
    ['Rust', RUST, OF_RUST, 'rust'],
  ] as const) {
    test(`${language}: by its files, and the log says by which`, () => {
      for (const [more, version, note] of rows) {
        const { dockerfile, notes } = recipe({ ...files, ...more })
        assert.match(dockerfile, new RegExp(`^FROM ${image}:${version.replace('.', '\\.')}-`), json(more))
        assert.match(notes[0] ?? '', note)
      }
    })
  }

  test('that does not exist says so, by the file', () => {
    for (const [files, said] of [
      [
        { ...NODE, '.nvmrc': '99' },
        /^\.nvmrc asks for a version of Node\.js that does not exist.* 26, 25, 24/,
      ],
      [{ ...NODE, ...engines('^99 || ^98') }, /^"engines" of package\.json asks .*Node\.js/],
      [{ ...PYTHON, '.python-version': '3.99' }, /^\.python-version asks .*Python.* 3\.14, 3\.13/],
      [{ ...PYTHON, 'runtime.txt': 'python-2.7.18' }, /^runtime\.txt asks/],
      [{ ...PYTHON, 'pyproject.toml': '[project]\nrequires-python = "==2.7"\n' }, /^pyproject\.toml asks/],
      [{ ...RUST, 'rust-toolchain': '2.0' }, /^rust-toolchain asks .*Rust/],
    ] as const)
      assert.match(problem(files), said)
  })

  test('is one that the engine has, where nobody asks for another', () => {
    const local = new Set(['node:22-slim', 'python:3.13-slim'])
    const of = (files: Record<string, string>, images = local) => recipe(files, { local: images })
    assert.match(
      of(NODE).notes[0] ?? '',
      /^Node\.js 22: of the default, Node\.js 24, the engine has no image/,
    )
    assert.match(of(PYTHON).dockerfile, /^FROM python:3\.13-slim/)
    assert.match(of({ ...NODE, ...engines('>=18') }).dockerfile, /^FROM node:22-slim/)
    assert.match(of({ ...NODE, '.nvmrc': '24' }).dockerfile, /^FROM node:24-slim/, 'one is asked for')
    assert.match(of(NODE, new Set([...local, 'node:24-slim'])).dockerfile, /^FROM node:24-slim/)
    assert.match(of(NODE, new Set(['node:14-slim'])).dockerfile, /^FROM node:24-slim/, 'too old')
  })

  test('of pnpm is the one of packageManager, devEngines, engines or the lock file', () => {
    for (const [more, version] of [
      [{ packageManager: 'pnpm@9.1.4' }, '9.1.4'],
      [{ devEngines: { packageManager: { name: 'pnpm', version: '9.2.0' } } }, '9.2.0'],
      [{ devEngines: { packageManager: [{ name: 'pnpm', version: '8' }] } }, '8'],
      [{ engines: { pnpm: '9.x' } }, '9'],
      [{ engines: { pnpm: '>=8' } }, '9'],
      [{ engines: { pnpm: '^10.0.0' } }, '10'],
      [{}, '9'],
    ] as const) {
      const files = { 'package.json': json({ main: 'index.js', ...more }), 'index.js': '' }
      const lock = { 'pnpm-lock.yaml': "lockfileVersion: '9.0'\n" }
      assert.match(recipe({ ...files, ...lock }).dockerfile, new RegExp(`pnpm@${version}$`, 'm'), json(more))
    }
  })
})
