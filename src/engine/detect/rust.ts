import { COLLECT_LIBRARIES, PROGRAM, programStage } from './go.js'
import {
  type Detector,
  NEVER_SENT,
  present,
  type Problem,
  stages,
  type Tree,
  withVersion,
} from './detected-build.js'
import { type CargoPackage, cargoPackages, dependencyLayer } from './rust-packages.js'
import { type ChosenVersion, managedVersions } from './tool-versions.js'

export const detectRust: Detector = (tree, images) => {
  const manifest = tree.texts.get('Cargo.toml')
  if (manifest === undefined) return null
  const packages = cargoPackages(tree)
  const program = programOf(manifest, packages)
  if ('problem' in program) return program
  const chosen = versionOf(tree)
  if ('problem' in chosen) return chosen
  const { name, ofPackage } = program
  const lock = tree.paths.has('Cargo.lock') ? ' --locked' : ''
  const cargo = `cargo build --release${lock}${ofPackage} --bin ${name}`
  const first = dependencyLayer(tree, packages, cargo)
  // The real files are older than what was compiled of those in their place, which would be taken for their own.
  const touch = first.length > 0 ? "find . -name '*.rs' ! -path './target/*' -exec touch {} + && " : ''
  const build = [
    `FROM ${withVersion(images.rust, chosen.version)} AS build`,
    'WORKDIR /src',
    ...first,
    'COPY . .',
    `RUN ${touch}${cargo} && mkdir /out && cp target/release/${name} /out/app`,
    COLLECT_LIBRARIES,
  ]
  const usesRocket = packages.some((one) => /^rocket\b/m.test(one.manifest))
  const command = usesRocket ? `ROCKET_PORT=$PORT ${PROGRAM}` : undefined
  return {
    language: 'Rust',
    notes: [`Rust ${chosen.version}: ${chosen.note}`],
    detectedBy: present(tree, ['Cargo.toml', 'Cargo.lock', 'Procfile']),
    dockerfile: stages(build, programStage(images.runtime, tree, { isLinked: true, command })),
    ignore: [...NEVER_SENT, 'target'],
  }
}

/** The program that is built, and the option that says of which package where it is not the root's. */
interface CargoProgram {
  readonly name: string
  readonly ofPackage: string
}

function programOf(manifest: string, packages: readonly CargoPackage[]): CargoProgram | Problem {
  if (
    /^[\w-]+\.workspace[ \t]*=|\bworkspace[ \t]*=[ \t]*true/m.test(manifest) &&
    !/^\[workspace\b/m.test(manifest)
  ) {
    return {
      problem:
        "Cargo.toml takes values from a workspace above it: set contextPath to the workspace's folder, or add a Dockerfile there",
    }
  }
  const root = packages.find(({ folder }) => folder === '')
  if (root?.main) return { name: root.main, ofPackage: '' }
  if (root && root.programs.length > 1) {
    return {
      problem: `Cargo.toml has several programs (${root.programs.join(', ')}): set default-run in [package] to the one that serves`,
    }
  }
  const members = packages.filter(({ main, folder }) => main !== null && folder !== '')
  const usual = members.filter(({ main }) => /^(?:server|web|api|app|backend)$/.test(main ?? ''))
  const [only] = members.length === 1 ? members : usual
  if (only?.main && (members.length === 1 || usual.length === 1))
    return { name: only.main, ofPackage: ` --package ${only.name}` }
  const names = members.map(({ main }) => main).join(', ')
  return {
    problem:
      members.length > 1
        ? `the workspace of Cargo.toml has several programs (${names}), and nothing says which one serves: add a Dockerfile that builds one`
        : 'Cargo.toml is a library or a workspace without a program: add a src/main.rs, or a Dockerfile',
  }
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
