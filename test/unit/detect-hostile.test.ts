import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { found, json } from '../support/detected.js'

const LENGTH = 256 * 1024
/** Of processor time, which a busy machine does not make longer. Generous: by the square of a length it is minutes. */
const SOON_MS = 2_000

const long = (piece: string) => piece.repeat(Math.ceil(LENGTH / piece.length))
const scripts = (texts: Record<string, string>) => json({ scripts: texts, devDependencies: { x: '1' } })
const many = Array.from({ length: 20_000 }, (_, index) => `s${index}`)

/** Texts on which expressions that go back and forth do so for long. */
const PIECES = ['\n', ' ', 'a', '1.', '"', '\na = ', '[[bin]]\n']
const END = 'x\n!'
const STARTS: Record<string, readonly string[]> = {
  'requirements.txt': ['', 'flask', '-'],
  'pyproject.toml': [
    '',
    '[project]\ndependencies',
    '[project]\ndependencies = [',
    '[tool.poetry.dependencies]\na',
    '[project]\nrequires-python',
    '[build-system]\n[tool.poetry]\nname = "',
  ],
  '.python-version': ['', '3.1'],
  'runtime.txt': ['', 'python-3.1'],
  'manage.py': ['', `DJANGO_SETTINGS_MODULE'`, `DJANGO_SETTINGS_MODULE', 'a.`],
  'main.py': ['', 'app', 'app =', 'app: x'],
  'wsgi.py': ['', 'application'],
  'mysite/settings.py': ['', 'STATIC_ROOT', 'STATIC_ROOT ='],
  'pnpm-lock.yaml': ['', 'lockfileVersion:'],
  '.nvmrc': ['', 'v', '20'],
  'go.mod': ['', 'module ', 'module a', 'replace a =>'],
  'main.go': ['', 'package'],
  'next.config.ts': ['', 'output:', 'output'],
  'Cargo.toml': ['', '[package]\nname', '[package]\nname = "a', 'autobins'],
  'rust-toolchain': ['', 'channel', '1.1'],
  Procfile: ['', 'web: ', 'web: a', 'web: A=', 'web: env A="', 'web: npm run '],
}
const BESIDE: Record<string, Record<string, string>> = {
  Procfile: { 'go.mod': 'module x', 'main.go': 'package main' },
  '.nvmrc': { 'package.json': json({ main: 'index.js' }), 'index.js': '' },
  'mysite/settings.py': { 'manage.py': `DJANGO_SETTINGS_MODULE', 'mysite.settings'` },
  'pnpm-lock.yaml': { 'package.json': json({ main: 'index.js' }), 'index.js': '' },
  'main.go': { 'go.mod': 'module x' },
  'next.config.ts': { 'package.json': json({ scripts: { build: 'x' }, dependencies: { next: '15' } }) },
  'rust-toolchain': { 'Cargo.toml': '[package]\nname = "a"\n' },
}

describe('a file of 256 KiB is read in no time', () => {
  for (const [path, starts] of Object.entries(STARTS)) {
    test(`as ${path}`, () => {
      for (const start of starts) {
        for (const piece of PIECES) {
          const text = `${start}${long(piece)}${END}`
          soon({ ...BESIDE[path], [path]: text }, json([start, piece]))
        }
      }
    })
  }

  test('as package.json', () => {
    for (const piece of [...PIECES, 'npm run a ', 'A=b ', '&& env ', 'vite ', '@a']) {
      const text = long(piece) + END
      soon({ 'package.json': scripts({ start: text, a: 'b', build: 'x' }) }, json(['start', piece]))
      soon({ 'package.json': json({ main: 'a.js', engines: { node: text } }), 'a.js': '' }, piece)
    }
    const names = Object.fromEntries(many.map((name) => [name, '1']))
    const calls = Object.fromEntries(many.map((name, index) => [name, `npm run s${index + 1}`]))
    soon({ 'package.json': scripts({ ...calls, start: 'npm run s0', build: 'x' }) }, 'calls')
    const line = { start: many.map((name) => `x${name}`).join(';') }
    soon(
      { 'package.json': json({ scripts: line, dependencies: names, devDependencies: { x: '1' } }) },
      'names',
    )
  })

  test('as angular.json', () => {
    const files = { 'package.json': scripts({ build: 'x' }) }
    for (const piece of PIECES) {
      const options = { outputPath: long(piece) }
      soon(
        { ...files, 'angular.json': json({ projects: { a: { architect: { build: { options } } } } }) },
        piece,
      )
    }
  })
})

function soon(files: Record<string, string>, what: string): void {
  const before = process.cpuUsage()
  found(files)
  const { user, system } = process.cpuUsage(before)
  assert.ok((user + system) / 1000 < SOON_MS, what)
}
