import { COLLECT_LIBRARIES, programStage } from './go.js'
import {
  type Detector,
  NEVER_SENT,
  present,
  sectionsOf,
  stages,
  type Tree,
  withVersion,
} from './detected-build.js'

export const detectRust: Detector = (tree, images) => {
  const manifest = tree.texts.get('Cargo.toml')
  if (manifest === undefined) return null
  const name = programOf(tree, manifest)
  if (name === null) {
    return {
      problem:
        'Cargo.toml does not define a single program (a workspace, or several [[bin]]): set default-run, or add a Dockerfile',
    }
  }
  const cargo = `cargo build --release${tree.paths.has('Cargo.lock') ? ' --locked' : ''} --bin ${name}`
  const plain = isPlain(tree, manifest)
  // The real file is older than the program of the one in its place, which would be taken for its own.
  const touch = plain ? 'touch src/main.rs && ' : ''
  const build = [
    `FROM ${withVersion(images.rust, versionOf(tree))} AS build`,
    'WORKDIR /src',
    ...(plain ? packagesFirst(tree, cargo) : []),
    'COPY . .',
    `RUN ${touch}${cargo} && mkdir /out && cp target/release/${name} /out/app`,
    COLLECT_LIBRARIES,
  ]
  return {
    language: 'Rust',
    detectedBy: present(tree, ['Cargo.toml', 'Cargo.lock', 'Procfile']),
    dockerfile: stages(build, programStage(images.runtime, tree, true)),
    ignore: [...NEVER_SENT, 'target'],
  }
}

/** Of several programs the package's own, which is in src/main.rs or has its name. */
function programOf(tree: Tree, manifest: string): string | null {
  const valueOf = (text: string, key: string) =>
    new RegExp(`^${key}[ \\t]*=[ \\t]*"([\\w./-]+)"`, 'm').exec(text)?.[1]
  const nameOf = (text: string, key = 'name') => /^[\w-]+$/.exec(valueOf(text, key) ?? '')?.[0] ?? null
  const [own = ''] = sectionsOf(manifest, '[package]')
  const chosen = nameOf(own, 'default-run')
  if (chosen !== null) return chosen
  const programs = sectionsOf(manifest, '[[bin]]')
  const main = programs.find((text) => valueOf(text, 'path') === 'src/main.rs')
  if (main !== undefined) return nameOf(main)
  const name = nameOf(own)
  const isFound = tree.paths.has('src/main.rs') && !/^autobins[ \t]*=[ \t]*false/m.test(own)
  if (isFound || programs.some((text) => nameOf(text) === name)) return name
  if (programs.length > 1) return null
  return programs[0] === undefined ? name : nameOf(programs[0])
}

function versionOf(tree: Tree): string {
  const text = tree.texts.get('rust-toolchain.toml') ?? tree.texts.get('rust-toolchain') ?? ''
  return /^(?:channel[ \t]*=[ \t]*)?"?(1\.\d{1,3})(?:\.\d+)?"?[ \t\r]*$/m.exec(text)?.[1] ?? '1'
}

/** One program in src/main.rs and nothing that runs before it. */
function isPlain(tree: Tree, manifest: string): boolean {
  const special = ['src/lib.rs', 'build.rs', 'src/bin/', 'benches/', 'examples/', 'tests/'].some((path) =>
    tree.paths.has(path),
  )
  return (
    tree.paths.has('src/main.rs') &&
    !special &&
    !/^\[(workspace|\[bin\])/m.test(manifest) &&
    !/\bpath\s*=/.test(manifest)
  )
}

/** Packages are compiled with a program that does nothing: a layer that stays while the manifest does. */
function packagesFirst(tree: Tree, cargo: string): string[] {
  return [
    `COPY ${present(tree, ['Cargo.toml', 'Cargo.lock']).join(' ')} ./`,
    `RUN mkdir src && echo 'fn main() {}' > src/main.rs && ${cargo} && rm -r src`,
  ]
}
