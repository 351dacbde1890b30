import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { COLLECT_LIBRARIES } from '../../src/engine/detect/go.js'
import { withArguments, withSecrets } from '../../src/engine/detect/detected-build.js'
import { found, has, json, problem, recipe } from '../support/detected.js'

/** A C library other than GNU's has no C++ library of this name beside it. */
function noLdd(): boolean {
  try {
    return !execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).includes('libstdc++.so.6 => /')
  } catch {
    return true
  }
}

describe('Go is detected', () => {
  const module = 'module example.com/me/hello\n\ngo 1.22\n'

  test('a program in the root: static, in an image without its toolchain', () => {
    const { dockerfile, language } = recipe({
      'go.mod': module,
      'go.sum': '',
      'server.go': '// x\npackage main\n',
    })
    assert.equal(language, 'Go')
    has(dockerfile, [
      'FROM golang:1-bookworm AS build',
      'COPY go.mod go.sum ./',
      'RUN go mod download',
      'COPY . .',
      'RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/app .',
      'FROM debian:bookworm-slim',
      'COPY --from=build /out/app /usr/local/bin/app',
      'USER 1000:1000',
      'EXPOSE 8080',
      'CMD ["/usr/local/bin/app"]',
    ])
  })

  test('the one program in cmd/, or of several the one that serves', () => {
    assert.match(recipe({ 'go.mod': module, 'cmd/tool/main.go': '' }).dockerfile, / \.\/cmd\/tool$/m)
    const several = { 'go.mod': module, 'cmd/tool/main.go': '', 'cmd/server/main.go': '' }
    assert.match(recipe(several).dockerfile, / \.\/cmd\/server$/m)
    assert.match(recipe({ ...several, 'cmd/hello/main.go': '' }).dockerfile, / \.\/cmd\/hello$/m)
  })

  for (const [files, folder] of [
    [{ 'cmd/main.go': 'package main\n' }, './cmd'],
    [{ 'server/main.go': 'package main\n' }, './server'],
    [{ 'src/main.go': 'package main\n' }, './src'],
    [{ 'cmd/a/main.go': '', 'cmd/b/main.go': '', 'cmd/api/main.go': '' }, './cmd/api'],
    [{ 'tools/gen/main.go': 'package main\n', 'internal/app/main.go': 'package main\n' }, './internal/app'],
  ] as readonly (readonly [Record<string, string>, string])[]) {
    test(`the program in ${folder}`, () =>
      assert.ok(recipe({ 'go.mod': module, ...files }).dockerfile.includes(` -o /out/app ${folder}\n`)))
  }

  test('the one program of a go.work, built from its root', () => {
    const work = {
      'go.work': 'go 1.24\nuse (\n\t./api\n\t./lib\n)\n',
      'api/go.mod': module,
      'lib/go.mod': module,
    }
    const { dockerfile } = recipe({ ...work, 'api/main.go': 'package main\n', 'lib/lib.go': 'package lib\n' })
    has(dockerfile, ['RUN CGO_ENABLED=0 go build -trimpath std || true', 'COPY . .'])
    assert.match(dockerfile, / \.\/api$/m)
  })

  test('several programs of which none serves are named', () => {
    const files = { 'go.mod': module, 'a/main.go': 'package main\n', 'b/main.go': 'package main\n' }
    assert.match(problem(files), /several main packages \(a, b\)/)
  })

  test('the standard library and direct modules are compiled before the program is there', () => {
    const { dockerfile } = recipe({ 'go.mod': module, 'go.sum': '', 'main.go': 'package main\n' })
    has(dockerfile, [
      'RUN go mod download',
      `RUN CGO_ENABLED=0 go list -e -f '{{if not .Error}}{{.ImportPath}}{{end}}' std $(go list -m -f '{{if not (or .Main .Indirect)}}{{.Path}}{{end}}' all) | xargs env CGO_ENABLED=0 go build -trimpath || true`,
      'COPY . .',
    ])
  })

  test('packages that are in the repository are not fetched, nor looked for before it is there', () => {
    const files = { 'go.mod': module, 'main.go': 'package main' }
    const others: Record<string, string>[] = [
      { 'vendor/modules.txt': '' },
      { 'go.mod': `${module}replace example.com/x => ./x\n` },
      { 'go.mod': `${module}replace (\n\texample.com/x v1.0.0 => ../x\n)\n` },
    ]
    for (const more of others)
      assert.doesNotMatch(recipe({ ...files, ...more }).dockerfile, /go mod download/)
    const fork = `${module}replace example.com/x => example.com/y v1.0.0\n`
    assert.match(recipe({ ...files, 'go.mod': fork }).dockerfile, /go mod download/)
  })

  test('SQLite is C: compiled as such, with the libraries that it is linked with', () => {
    const text = `${module}require github.com/mattn/go-sqlite3 v1.14.24 // indirect\n`
    const { dockerfile } = recipe({ 'go.mod': text, 'main.go': 'package main' })
    has(dockerfile, [
      'RUN CGO_ENABLED=1 go build -trimpath -ldflags="-s -w" -o /out/app .',
      COLLECT_LIBRARIES,
      'COPY --from=build /out/lib/ /usr/local/lib/app/',
      'ENV LD_LIBRARY_PATH=/usr/local/lib/app',
    ])
  })

  test('libraries are those that a program is linked with, but for the C library', { skip: noLdd() }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'libraries-'))
    try {
      const collect = COLLECT_LIBRARIES.slice('RUN '.length).replaceAll('/out', folder)
      const of = (program: string) => {
        cpSync(program, join(folder, 'app'))
        execFileSync('sh', ['-c', collect])
        const files = readdirSync(join(folder, 'lib'))
        rmSync(join(folder, 'lib'), { recursive: true })
        return files
      }
      const files = of(process.execPath)
      assert.ok(files.includes('libstdc++.so.6'), files.join())
      assert.ok(!files.some((name) => /^(libc|libm|ld-.*)\.so/.test(name)), files.join())
      assert.deepEqual(of(fileURLToPath(import.meta.url)), [], 'no program, as a static one for ldd')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('a Procfile gives its arguments to the program, which is called otherwise here', () => {
    has(
      recipe({ 'go.mod': module, 'main.go': 'package main', Procfile: 'web: bin/hello -port $PORT' })
        .dockerfile,
      ['CMD ["sh","-c","exec /usr/local/bin/app -port $PORT"]'],
    )
  })

  for (const [line, command] of [
    ['exec bin/hello -p $PORT', 'exec /usr/local/bin/app -p $PORT'],
    ['LEVEL=1 NAME="a b" bin/hello', 'exec env LEVEL=1 NAME="a b" /usr/local/bin/app'],
    ['exec env LEVEL=1 ./hello', 'exec env LEVEL=1 /usr/local/bin/app'],
  ] as const) {
    test(`a Procfile with "${line}"`, () => {
      const files = { 'go.mod': module, 'main.go': 'package main', Procfile: `web: ${line}` }
      has(recipe(files).dockerfile, [`CMD ${json(['sh', '-c', command])}`])
    })
  }

  test('a library says that there is no program', () => {
    assert.match(problem({ 'go.mod': module, 'lib.go': 'package lib' }), /no main package/)
  })
})

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
