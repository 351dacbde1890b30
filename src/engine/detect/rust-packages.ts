import { present, sectionsOf, type Tree } from './detected-build.js'

/** A Cargo.toml of the folder, and the programs of its package. */
export interface CargoPackage {
  /** Empty: the root. With a slash at its end. */
  readonly folder: string
  readonly manifest: string
  readonly name: string | null
  readonly programs: readonly string[]
  /** The one that `default-run`, the package's name or src/main.rs points to. */
  readonly main: string | null
}

/** So many packages have a layer for what they depend on. */
const MAX_PACKAGES = 30
const TARGETS = ['bin', 'test', 'bench', 'example'] as const
const FOLDERS = { bin: 'src/bin', test: 'tests', bench: 'benches', example: 'examples' }

export function valueOf(text: string, key: string): string | undefined {
  return new RegExp(`^${key}[ \\t]*=[ \\t]*"([\\w./-]{1,200})"`, 'm').exec(text)?.[1]
}

function nameOf(text: string, key = 'name'): string | null {
  return /^[\w-]+$/.exec(valueOf(text, key) ?? '')?.[0] ?? null
}

/** The packages of a folder: the root's and those of a workspace. */
export function cargoPackages(tree: Tree): CargoPackage[] {
  const found = [...tree.texts].flatMap(([path, manifest]) =>
    path.endsWith('Cargo.toml') && /^(?:[^/]+\/)*Cargo\.toml$/.test(path)
      ? [packageOf(tree, path.slice(0, -'Cargo.toml'.length), manifest)]
      : [],
  )
  const root = found.find(({ folder }) => folder === '')
  const isWhole = root !== undefined && /^\[workspace\b|\bpath[ \t]*=/m.test(root.manifest)
  return found.filter(({ folder, name }) => folder === '' || (isWhole && name !== null))
}

function packageOf(tree: Tree, folder: string, manifest: string): CargoPackage {
  const [own = ''] = sectionsOf(manifest, '[package]')
  const name = nameOf(own)
  const declared = sectionsOf(manifest, '[[bin]]')
  const isAuto = !/^autobins[ \t]*=[ \t]*false/m.test(own)
  const ofMain = declared.find((text) => valueOf(text, 'path') === 'src/main.rs')
  const hasMain = tree.paths.has(`${folder}src/main.rs`) && isAuto
  const found = isAuto ? binFiles(tree, folder) : []
  const main = ofMain ? nameOf(ofMain) : hasMain ? name : null
  const names = [main, ...declared.map((text) => nameOf(text)), ...found].filter((one) => one !== null)
  const programs = [...new Set(names)]
  const own_ = nameOf(own, 'default-run') ?? main ?? programs.find((one) => one === name)
  const only = programs.length === 1 ? programs[0] : undefined
  return { folder, manifest, name, programs, main: own_ ?? only ?? null }
}

function binFiles(tree: Tree, folder: string): string[] {
  const at = `${folder}src/bin/`
  const inner = [...tree.paths].filter((path) => path.startsWith(at)).map((path) => path.slice(at.length))
  return inner.flatMap((path) => /^([\w-]+)(?:\.rs|\/main\.rs)$/.exec(path)?.[1] ?? []).sort()
}

/**
 * Steps that compile what the packages depend on, with programs that do nothing: a layer that stays while the manifests
 * do. None where a manifest reads something else of the repository.
 */
export function dependencyLayer(tree: Tree, packages: readonly CargoPackage[], cargo: string): string[] {
  const isOutside = packages.some(({ manifest }) =>
    /\bpath[ \t]*=[ \t]*"(?:\/|(?:\.\.\/)+(?!\w))/.test(manifest),
  )
  const isAbove = packages.some(
    ({ folder, manifest }) => folder === '' && /\bpath[ \t]*=[ \t]*"\.\./.test(manifest),
  )
  if (isOutside || isAbove || packages.length > MAX_PACKAGES) return []
  const files = [...new Set(packages.flatMap((one) => placeholders(tree, one)))]
  if (files.length === 0 || files.some((path) => !/^[\w./-]+$/.test(path))) return []
  const folders = [
    ...new Set(
      files
        .map((path) => path.slice(0, path.lastIndexOf('/')))
        .filter((path) => path.includes('src') || path !== ''),
    ),
  ]
  const root = present(tree, ['Cargo.toml', 'Cargo.lock', 'rust-toolchain', 'rust-toolchain.toml', '.cargo/'])
  const copies = root.map((path) => (path.endsWith('/') ? `COPY ${path} ./${path}` : path))
  const inner = packages.filter(({ folder }) => folder !== '')
  return [
    `COPY ${copies.filter((one) => !one.startsWith('COPY')).join(' ')} ./`,
    ...copies.filter((one) => one.startsWith('COPY')),
    ...inner.map(({ folder }) => `COPY ${folder}Cargo.toml ./${folder}`),
    `RUN mkdir -p ${folders.join(' ')} && for file in ${files.join(' ')}; do echo 'fn main() {}' > "$file"; done && ${cargo} && rm ${files.join(' ')}`,
  ]
}

/** The sources that a manifest needs to be there. */
function placeholders(tree: Tree, { folder, manifest }: CargoPackage): string[] {
  const named = TARGETS.flatMap((target) =>
    sectionsOf(manifest, `[[${target}]]`).flatMap((text) => {
      const name = nameOf(text)
      const path = valueOf(text, 'path')
      const usual = [`${FOLDERS[target]}/${name}.rs`, `${FOLDERS[target]}/${name}/main.rs`]
      return path ?? usual.find((one) => tree.paths.has(`${folder}${one}`)) ?? []
    }),
  )
  const library = sectionsOf(manifest, '[lib]').flatMap((text) => valueOf(text, 'path') ?? [])
  const script = valueOf(sectionsOf(manifest, '[package]')[0] ?? '', 'build') ?? 'build.rs'
  const bins = binFiles(tree, folder).flatMap((name) => [`src/bin/${name}.rs`, `src/bin/${name}/main.rs`])
  const usual = ['src/main.rs', 'src/lib.rs', script, ...bins, ...library, ...named]
  return [...new Set(usual)].map((path) => `${folder}${path}`).filter((path) => tree.paths.has(path))
}
