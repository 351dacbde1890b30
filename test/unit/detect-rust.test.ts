import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { COLLECT_LIBRARIES } from '../../src/engine/detect/go.js'
import { has, problem, recipe } from '../support/detected.js'

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
      COLLECT_LIBRARIES,
      'FROM debian:bookworm-slim',
      'COPY --from=build /out/lib/ /usr/local/lib/app/',
      'ENV LD_LIBRARY_PATH=/usr/local/lib/app',
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
    const own = { 'Cargo.toml': manifest + bin('migrate') + bin('seed'), 'src/main.rs': '' }
    assert.match(recipe(own).dockerfile, /--bin hello-web/, "not a tool beside the package's own program")
    assert.match(
      recipe({ 'Cargo.toml': manifest + bin('migrate') + bin('hello-web') }).dockerfile,
      /--bin hello-web/,
    )
    const named = `${manifest}\n[[bin]]\nname = "web"\npath = "src/main.rs"\n${bin('migrate')}`
    assert.match(recipe({ 'Cargo.toml': named, 'src/main.rs': '' }).dockerfile, /--bin web/)
    assert.match(problem({ 'Cargo.toml': '[workspace]\nmembers = ["a"]\n' }), /workspace/)
  })
})
