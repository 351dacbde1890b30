import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withArguments, withSecrets } from '../../src/engine/detect/detected-build.js'
import { found, has, json, problem, recipe } from '../support/detected.js'

describe('a static site is detected', () => {
  for (const [path, copy] of [
    ['index.html', 'COPY . /www/'],
    ['public/index.html', 'COPY public/ /www/'],
    ['dist/index.html', 'COPY dist/ /www/'],
  ] as const) {
    test(`by ${path}`, () => {
      const { dockerfile, ignore } = recipe({ [path]: '' })
      has(dockerfile, ['FROM busybox:stable AS site', copy, 'USER 65534:65534', 'EXPOSE 8080'])
      assert.ok(ignore.includes('**/.*'), 'hidden files would be served')
    })
  }

  test('but not where a program stands beside the page', () => {
    const page = { 'index.html': '' }
    assert.equal(recipe({ ...page, 'go.mod': 'module x', 'main.go': 'package main' }).language, 'Go')
    assert.equal(recipe({ ...page, 'requirements.txt': '', 'main.py': '' }).language, 'Python')
  })

  test('nor where one stands there that cannot be started: its source would be published', () => {
    const page = { 'index.html': '', 'package.json': json({ devDependencies: {} }) }
    assert.match(problem({ ...page, 'requirements.txt': 'mkdocs', 'tool.py': '' }), /Python/)
    assert.match(problem({ ...page, 'go.mod': 'module x', 'lib.go': 'package lib' }), /go\.mod/)
    assert.match(problem({ 'dist/index.html': '', 'Cargo.toml': '[workspace]' }), /Cargo\.toml/)
  })

  test('nor where it is a template of Jekyll', () => {
    for (const path of ['_layouts/a.html', '_posts/a.md', 'Gemfile']) {
      assert.match(problem({ '_config.yml': '', 'index.html': '', [path]: '' }), /Jekyll/)
      assert.match(problem({ '_config.yml': '', [path]: '' }), /Jekyll/)
    }
    assert.equal(recipe({ '_config.yml': '', 'index.html': '' }).language, 'a static site')
  })

  test('with types of files that servers do not know, and its own page for what is missing', () => {
    const { dockerfile } = recipe({ 'index.html': '' })
    for (const type of [
      '.mjs:text/javascript',
      '.wasm:application/wasm',
      '.webmanifest:application/manifest+json',
    ])
      assert.ok(
        /^RUN printf '%s\\n' (.*) > \/httpd\.conf$/m.exec(dockerfile)?.[1]?.split(' ').includes(type),
        type,
      )
    assert.match(dockerfile, /^RUN for page in 404\.html; do if test -f "\/www\/\$page"; then /m)
  })

  test('also where a package beside it cannot be started', () => {
    assert.equal(
      recipe({ 'index.html': '', 'package.json': json({ devDependencies: {} }) }).language,
      'a static site',
    )
  })
})

describe('a package.json beside another program', () => {
  const manage = `os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')`
  const django = { 'requirements.txt': 'Django', 'manage.py': manage, Procfile: 'web: gunicorn mysite.wsgi' }
  const styles = { scripts: { build: 'tailwindcss -o x.css' }, main: 'index.js', devDependencies: {} }

  test('that starts nothing makes its styles', () => {
    const aside = { 'package.json': json(styles) }
    assert.equal(recipe({ ...django, ...aside }).language, 'Python')
    assert.equal(recipe({ 'go.mod': 'module x', 'main.go': 'package main', ...aside }).language, 'Go')
    assert.equal(
      recipe({ 'Cargo.toml': '[package]\nname = "a"\n', 'src/main.rs': '', ...aside }).language,
      'Rust',
    )
  })

  test('that has a start, or no manifest beside it, is the program', () => {
    const start = { 'package.json': json({ scripts: { start: 'node a.js' } }) }
    assert.equal(recipe({ 'requirements.txt': 'Django', 'manage.py': manage, ...start }).language, 'Node.js')
    assert.equal(recipe({ ...django, ...start }).language, 'Python', 'the Procfile starts it')
    const node = { ...django, 'package.json': json(styles), Procfile: 'web: node x.js' }
    assert.equal(recipe(node).language, 'Node.js')
    assert.equal(
      recipe({ 'requirements.txt': '', 'app.py': '', 'package.json': json(styles), 'index.js': '' }).language,
      'Node.js',
    )
    assert.equal(recipe({ 'main.py': '', 'package.json': json(styles) }).language, 'Node.js')
    const tools = { 'requirements.txt': 'mkdocs', 'package.json': json(styles) }
    assert.equal(recipe(tools).language, 'Node.js', 'what cannot be started is no program')
  })
})

test('what nobody knows is not guessed at', () => {
  assert.equal(found({ 'README.md': '', 'a/b/c/index.html': '' }), null)
})

test('build arguments are declared where something is built', () => {
  const { dockerfile } = recipe({ 'go.mod': 'module x', 'main.go': 'package main' })
  has(withArguments(dockerfile, ['A', 'B_1']), [
    'FROM golang:1-bookworm AS build',
    'ARG A',
    'ARG B_1',
    'WORKDIR /src',
  ])
  assert.equal(withArguments(dockerfile, ['A']).match(/^ARG/gm)?.length, 1)
  assert.equal(withArguments(dockerfile, []), dockerfile)
})

test('build secrets are known to the steps of the stage that builds, and to no other', () => {
  const { dockerfile } = recipe({ 'package.json': json({ scripts: { build: 'x' } }) })
  const sealed = withSecrets(withArguments(dockerfile, ['C']), ['A', 'B_1', 'no name', 'x;y', '1a'])
  const before = '--mount=type=secret,id=A --mount=type=secret,id=B_1'
  const exports = 'export A="$(cat /run/secrets/A)" && export B_1="$(cat /run/secrets/B_1)" &&'
  has(sealed, [
    'FROM node:24-slim AS build',
    'ARG C',
    `RUN ${before} ${exports} CI=true npm install`,
    `RUN ${before} ${exports} npm run build`,
    'FROM busybox:stable AS site',
    'RUN rm -f /www/Dockerfile /www/.dockerignore',
  ])
  const [build = '', ...others] = sealed.split(/^(?=FROM )/m)
  assert.equal(build.match(/^RUN /gm)?.length, build.match(/^RUN --mount/gm)?.length)
  assert.doesNotMatch(others.join(''), /secret/)
  assert.equal(withSecrets(dockerfile, []), dockerfile)
})

test('nothing that a repository says becomes a line of the Dockerfile', () => {
  const evil = 'x\nRUN touch /evil'
  const all: Record<string, string>[] = [
    {
      'package.json': json({
        scripts: { start: `node ${evil}`, build: evil },
        main: evil,
        engines: { node: evil },
      }),
    },
    { 'requirements.txt': '', 'main.py': '', 'runtime.txt': evil, '.python-version': evil },
    { 'requirements.txt': '', Procfile: `web: a\\nRUN touch /evil` },
    { 'Cargo.toml': `[package]\nname = "a"\ndefault-run = "x"\n`, 'rust-toolchain': evil },
    { 'go.mod': `module ${evil}`, 'main.go': 'package main' },
  ]
  for (const files of all) assert.doesNotMatch(recipe(files).dockerfile, /^RUN touch \/evil/m)
})
