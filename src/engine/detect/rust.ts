import { COLLECT_LIBRARIES, programStage } from './go.js'
import {
  type Detector,
  NEVER_SENT,
  present,
  type Problem,
  sectionsOf,
  stages,
  type Tree,
  withVersion,
} from './detected-build.js'
import { type ChosenVersion, managedVersions } from './tool-versions.js'

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
  const chosen = versionOf(tree)
  if ('problem' in chosen) return chosen
  const cargo = `cargo build --release${tree.paths.has('Cargo.lock') ? ' --locked' : ''} --bin ${name}`
  const plain = isPlain(tree, manifest)
  // The real file is older than the program of the one in its place, which would be taken for its own.
  const touch = plain ? 'touch src/main.rs && ' : ''
  const build = [
    `FROM ${withVersion(images.rust, chosen.version)} AS build`,
    'WORKDIR /src',
    ...(plain ? packagesFirst(tree, cargo) : []),
    'COPY . .',
    `RUN ${touch}${cargo} && mkdir /out && cp target/release/${name} /out/app`,
    COLLECT_LIBRARIES,
  ]
  return {
    language: 'Rust',
    notes: [`Rust ${chosen.version}: ${chosen.note}`],
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

/** A channel that is no release is fetched by rustup, which reads the same file: any image will do. */
function versionOf(tree: Tree): ChosenVersion | Problem {
  const file = present(tree, ['rust-toolchain.toml', 'rust-toolchain'])[0] ?? ''
  const text = tree.texts.get(file) ?? ''
  const channel = /^(?:channel[ \t]*=[ \t]*)?["']?([\w.-]{1,60})["']?[ \t\r]*(?:#.*)?$/m.exec(text)?.[1]
  const sources = [{ file, text: channel }, ...managedVersions(tree, ['rust'])]
  const pinned = sources.find((source) => source.text !== undefined)
  if (pinned?.text === undefined)
    return { version: '1', note: 'the newest 1.x, the default; name one in rust-toolchain' }
  const minor = /^1\.(\d{1,3})(?:\.\d{1,3})?$/.exec(pinned.text)?.[1]
  if (minor !== undefined) return { version: `1.${minor}`, note: `by ${pinned.file}` }
  if (/^\d/.test(pinned.text)) {
    return { problem: `${pinned.file} asks for a version of Rust that does not exist: name one such as 1.85` }
  }
  return { version: '1', note: `the channel that ${pinned.file} names is fetched by rustup` }
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
