import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { COLLECT_LIBRARIES } from '../../src/engine/detect/go.js'
import { has, json, problem, recipe } from '../support/detected.js'

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
      `RUN CGO_ENABLED=0 go list -e -f '{{if .GoFiles}}{{.ImportPath}}{{end}}' std $(go list -m -f '{{if not (or .Main .Indirect)}}{{.Path}}{{end}}' all) | xargs env CGO_ENABLED=0 go build -trimpath || true`,
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
