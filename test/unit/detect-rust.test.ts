import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { COLLECT_LIBRARIES } from '../../src/engine/detect/go.js'
import { has, problem, recipe } from '../support/detected.js'

const TOUCH = "find . -name '*.rs' ! -path './target/*' -exec touch {} +"

describe('Rust is detected', () => {
  const manifest = '[package]\nname = "hello-web"\nversion = "0.1.0"\n\n[dependencies]\naxum = "0.7"\n'

  test('one program: packages are compiled in a layer of their own', () => {
    const { dockerfile, ignore } = recipe({ 'Cargo.toml': manifest, 'Cargo.lock': '', 'src/main.rs': '' })
    assert.ok(ignore.includes('target'))
    const cargo = 'cargo build --release --locked --bin hello-web'
    has(dockerfile, [
      'FROM rust:1-bookworm AS build',
      'COPY Cargo.toml Cargo.lock ./',
      `RUN mkdir -p src && for file in src/main.rs; do echo 'fn main() {}' > "$file"; done && ${cargo} && rm src/main.rs`,
      'COPY . .',
      `RUN ${TOUCH} && ${cargo} && mkdir /out && cp target/release/hello-web /out/app`,
      COLLECT_LIBRARIES,
      'FROM debian:bookworm-slim',
      'COPY --from=build /out/lib/ /usr/local/lib/app/',
      'ENV LD_LIBRARY_PATH=/usr/local/lib/app',
      'CMD ["/usr/local/bin/app"]',
    ])
  })

  for (const [what, files, written] of [
    ['a library', { 'src/lib.rs': '' }, 'src/main.rs src/lib.rs'],
    ['a build script', { 'build.rs': '' }, 'src/main.rs build.rs'],
    [
      'tests, examples and benches',
      { 'tests/a.rs': '', 'examples/b.rs': '', 'benches/c.rs': '' },
      'src/main.rs',
    ],
    [
      'a bench that is named',
      { 'Cargo.toml': `${manifest}[[bench]]\nname = "c"\n`, 'benches/c.rs': '' },
      'src/main.rs benches/c.rs',
    ],
    ['more programs', { 'src/bin/tool.rs': '' }, 'src/main.rs src/bin/tool.rs'],
    [
      'a library elsewhere',
      { 'Cargo.toml': `${manifest}[lib]\npath = "lib/all.rs"\n`, 'lib/all.rs': '' },
      'src/main.rs lib/all.rs',
    ],
  ] as readonly (readonly [string, Record<string, string>, string])[]) {
    test(`the layer of its packages stays with ${what}`, () => {
      const { dockerfile } = recipe({ 'Cargo.toml': manifest, 'src/main.rs': '', ...files })
      const cargo = 'cargo build --release --bin hello-web'
      assert.ok(
        dockerfile.includes(
          `for file in ${written}; do echo 'fn main() {}' > "$file"; done && ${cargo} && rm ${written}\n`,
        ),
        dockerfile,
      )
      assert.ok(
        dockerfile.includes(`RUN ${TOUCH} && ${cargo} && mkdir`),
        'what is older than what was compiled is compiled',
      )
    })
  }

  test('a workspace is built from its root, with a layer for the packages of all its members', () => {
    const member = (name: string) => `[package]\nname = "${name}"\nversion = "1.0.0"\n`
    const files = {
      'Cargo.toml': '[workspace]\nmembers = ["crates/*"]\n',
      'Cargo.lock': '',
      'rust-toolchain': '1.85\n',
      'crates/web/Cargo.toml': `${member('web')}[dependencies]\ncore = { path = "../core" }\n`,
      'crates/web/src/main.rs': '',
      'crates/core/Cargo.toml': member('core'),
      'crates/core/src/lib.rs': '',
    }
    has(recipe(files).dockerfile, [
      'COPY Cargo.toml Cargo.lock rust-toolchain ./',
      'COPY crates/web/Cargo.toml ./crates/web/',
      'COPY crates/core/Cargo.toml ./crates/core/',
      `RUN ${TOUCH} && cargo build --release --locked --package web --bin web && mkdir /out && cp target/release/web /out/app`,
    ])
    const more = { ...files, 'crates/job/Cargo.toml': member('job'), 'crates/job/src/main.rs': '' }
    assert.match(recipe(more).dockerfile, /--bin web /, 'of several the one whose name says that it serves')
    const equal = { ...more, 'crates/web/Cargo.toml': member('tool') }
    assert.match(problem(equal), /several programs \((?:tool, job|job, tool)\).*Dockerfile that builds one/)
    assert.doesNotMatch(problem(equal), /default-run/, 'it would not help')
  })

  test('a member whose values are in a workspace above says where it is built from', () => {
    const text = '[package]\nname = "web"\nversion.workspace = true\n'
    assert.match(
      problem({ 'Cargo.toml': text, 'src/main.rs': '' }),
      /set contextPath to the workspace's folder/,
    )
  })

  test('a file of the repository above the folder is not copied before the rest', () => {
    const { dockerfile } = recipe({ 'Cargo.toml': `${manifest}x = { path = "../x" }\n`, 'src/main.rs': '' })
    assert.doesNotMatch(dockerfile, /fn main/)
  })

  test('Rocket listens where others get to, on the port that it is given', () => {
    has(recipe({ 'Cargo.toml': `${manifest}rocket = "0.5"\n`, 'src/main.rs': '' }).dockerfile, [
      'ENV HOST=0.0.0.0 ROCKET_ADDRESS=0.0.0.0',
      'CMD ["sh","-c","exec env ROCKET_PORT=$PORT /usr/local/bin/app"]',
    ])
  })

  test('a program of src/bin, and a library alone', () => {
    assert.match(
      recipe({ 'Cargo.toml': manifest, 'src/bin/serve.rs': '', 'src/lib.rs': '' }).dockerfile,
      /--bin serve /,
    )
    const two = { 'Cargo.toml': manifest, 'src/bin/a.rs': '', 'src/bin/b.rs': '' }
    assert.match(problem(two), /several programs \(a, b\): set default-run/)
    assert.match(problem({ 'Cargo.toml': manifest, 'src/lib.rs': '' }), /is a library/)
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
