import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { found, has, json, problem, recipe } from '../support/detected.js'

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

  test('packages that are in the repository are not fetched', () => {
    const { dockerfile } = recipe({ 'go.mod': module, 'main.go': 'package main', 'vendor/modules.txt': '' })
    assert.doesNotMatch(dockerfile, /go mod download/)
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

describe('Rust is detected', () => {
  const manifest = '[package]\nname = "hello-web"\nversion = "0.1.0"\n\n[dependencies]\naxum = "0.7"\n'

  test('one program: packages are compiled in a layer of their own', () => {
    const { dockerfile, ignore } = recipe({ 'Cargo.toml': manifest, 'Cargo.lock': '', 'src/main.rs': '' })
    assert.ok(ignore.includes('target'))
    const cargo = 'cargo build --release --locked --bin hello-web'
    has(dockerfile, [
      'FROM rust:1-bookworm AS build',
      'COPY Cargo.toml Cargo.lock ./',
      `RUN mkdir src && echo 'fn main() {}' > src/main.rs && ${cargo} && rm -r src`,
      'COPY . .',
      `RUN touch src/main.rs && ${cargo} && mkdir /out && cp target/release/hello-web /out/app`,
      'FROM debian:bookworm-slim',
      'CMD ["/usr/local/bin/app"]',
    ])
  })

  test('with a library, a build script or members it is compiled at once', () => {
    const others: Record<string, string>[] = [
      { 'src/lib.rs': '' },
      { 'build.rs': '' },
      { 'Cargo.toml': `${manifest}x = { path = "../x" }\n` },
    ]
    for (const more of others) {
      const { dockerfile } = recipe({ 'Cargo.toml': manifest, 'src/main.rs': '', ...more })
      assert.doesNotMatch(dockerfile, /fn main/)
    }
  })

  test('a program with a name of its own, and several of which none is the one', () => {
    const bin = (name: string) => `\n[[bin]]\nname = "${name}"\npath = "src/${name}.rs"\n`
    assert.match(recipe({ 'Cargo.toml': manifest + bin('web') }).dockerfile, /--bin web/)
    assert.match(problem({ 'Cargo.toml': manifest + bin('a') + bin('b') }), /default-run/)
    assert.match(problem({ 'Cargo.toml': '[workspace]\nmembers = ["a"]\n' }), /workspace/)
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

  test('also where something beside it cannot be started', () => {
    assert.equal(
      recipe({ 'index.html': '', 'package.json': json({ devDependencies: {} }) }).language,
      'a static site',
    )
  })
})

test('what nobody knows is not guessed at', () => {
  assert.equal(found({ 'README.md': '', 'www/index.html': '' }), null)
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
