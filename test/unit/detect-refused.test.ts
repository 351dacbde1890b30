import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { found, json, problem, recipe } from '../support/detected.js'

const BUILDS = {
  'package.json': json({ scripts: { dev: 'vite', build: 'vite build' }, devDependencies: { vite: '6' } }),
}
const STARTS = { 'package.json': json({ scripts: { start: 'node a.js' } }) }

describe('without a Dockerfile', () => {
  for (const [language, path] of [
    ['PHP', 'composer.json'],
    ['PHP', 'index.php'],
    ['Ruby', 'Gemfile'],
    ['Ruby', 'thing.gemspec'],
    ['Elixir', 'mix.exs'],
    ['Java or Kotlin', 'pom.xml'],
    ['Java or Kotlin', 'build.gradle.kts'],
    ['.NET', 'Shop.csproj'],
    ['.NET', 'Shop.sln'],
    ['Clojure', 'deps.edn'],
    ['Dart', 'pubspec.yaml'],
  ] as const) {
    test(`${language} is named by ${path}, also beside packages of Node.js and a page`, () => {
      const said = new RegExp(`^this is ${language.replace('.', '\\.')} \\(.*: add a Dockerfile$`)
      const beside: Record<string, string>[] = [
        {},
        BUILDS,
        { 'index.html': '' },
        { ...BUILDS, 'index.html': '' },
      ]
      for (const more of beside) assert.match(problem({ [path]: '', ...more }), said)
      const dev = { 'package.json': json({ scripts: { start: 'vite', build: 'vite build' } }) }
      assert.match(problem({ [path]: '', ...dev }), said)
      assert.equal(recipe({ [path]: '', ...STARTS }).language, 'Node.js', 'it starts itself')
    })
  }

  test('Deno and C++ are named where there is nothing else', () => {
    assert.match(problem({ 'deno.json': '{}', 'main.ts': '' }), /^this is Deno/)
    assert.match(problem({ 'CMakeLists.txt': '', 'main.cpp': '' }), /^this is C or C\+\+/)
    assert.equal(recipe({ ...BUILDS, 'CMakeLists.txt': '' }).language, 'Node.js')
  })

  for (const [files, said] of [
    [
      ['api/Dockerfile', 'web/Dockerfile'],
      /api\/Dockerfile, web\/Dockerfile: set contextPath to a folder \("api"\), or dockerfilePath to a file \("api\/Dockerfile"\)/,
    ],
    [['api/Dockerfile', 'compose.yaml'], /api\/Dockerfile: .*An app for each service of compose\.yaml/],
    [['docker/prod.Dockerfile'], /docker\/prod\.Dockerfile/],
    [['Containerfile'], /set dockerfilePath to "Containerfile"/],
    [['dockerfile'], /set dockerfilePath to "dockerfile"/],
    [['Dockerfile.production'], /set dockerfilePath to "Dockerfile\.production"/],
    [['docker-compose.yml'], /docker-compose\.yml, which Longshore does not run/],
    [
      ['backend/package.json', 'frontend/package.json'],
      /backend\/package\.json, frontend\/package\.json: set contextPath to its folder \("backend"\)/,
    ],
    [
      ['server/go.mod', 'docker-compose.yml'],
      /contextPath to its folder \("server"\), and docker-compose\.yml/,
    ],
    [Array.from({ length: 9 }, (_, at) => `s${at}/Dockerfile`), /s4\/Dockerfile and 4 more/],
  ] as const) {
    test(`a root with ${files.slice(0, 2).join(' and ')} says what to set`, () =>
      assert.match(problem(Object.fromEntries(files.map((path) => [path, '']))), said))
  }

  test('what cannot be started names what lies elsewhere too', () => {
    const files = { 'package.json': json({ workspaces: ['web'] }), 'web/Dockerfile': '' }
    assert.match(problem(files), /add a start script.*Besides, there is web\/Dockerfile/)
    assert.equal(found({ 'README.md': '' }), null)
  })

  test('what is not used is said', () => {
    const of = (more: Record<string, string>) =>
      recipe({ ...STARTS, ...more })
        .notes.slice(1)
        .join('\n')
    assert.equal(of({ Procfile: 'web: node a.js' }), '')
    assert.match(of({ Procfile: 'release: node migrate.js\nweb: node a.js' }), /"release".* is ignored/)
    assert.match(of({ Procfile: 'web: node a.js\nworker: node w.js\nclock: x' }), /not worker, clock$/)
    assert.match(
      of({ Containerfile: '' }),
      /Containerfile is not used: set dockerfilePath to "Containerfile"/,
    )
  })

  test('samples of .env files are sent', () => {
    const { ignore } = recipe(STARTS)
    for (const ending of ['example', 'sample', 'template', 'dist'])
      assert.ok(ignore.includes(`!**/.env.${ending}`))
  })
})
