import type { EntryKind, Source } from '../git/git.js'
import { djangoPackage } from './python-django.js'
import type { Tree } from './detected-build.js'

/** Which files are read, and how many of a kind at most. */
interface Reading {
  readonly path: RegExp
  readonly max: number
}

/** JSON: of a part of it nothing can be read. */
const READ_WHOLE = /(?:^|\/)(?:package|angular|composer)\.json$/
const VERSIONS =
  /^(?:\.nvmrc|\.node-version|\.python-version|runtime\.txt|\.tool-versions|\.?mise\.toml|rust-toolchain(?:\.toml)?)$/
const MANIFESTS =
  /^(?:Procfile|go\.mod|go\.work|Cargo\.toml|requirements\.txt|pyproject\.toml|Pipfile|setup\.(?:py|cfg)|manage\.py)$/
const NODE =
  /^(?:package-lock\.json|pnpm-lock\.yaml|yarn\.lock|pnpm-workspace\.yaml|[\w-]+\.config\.[cm]?[jt]s|tsconfig\.json|bunfig\.toml)$/
const PROGRAMS = /^(?:main|app|wsgi|asgi|server|application|api|run)\.py$/

const READ: readonly Reading[] = [
  ...[READ_WHOLE, VERSIONS, MANIFESTS, NODE, PROGRAMS].map((path) => ({ path, max: 60 })),
  { path: /^(?:\w+\/)?(?:src\/)?\w+\/(?:main|app|__init__|wsgi|asgi)\.py$/, max: 30 },
  { path: /^(?!.*_test\.go$)[^/]+\.go$/, max: 20 },
  { path: /^(?:[\w.-]+\/){1,3}main\.go$/, max: 20 },
  { path: /^(?:[\w.-]+\/){1,3}Cargo\.toml$/, max: 40 },
  { path: /^(?:[\w.-]+\/){1,3}go\.mod$/, max: 20 },
]
/** What tells stands in front; what is longer is not written by hand. */
const READ_BYTES = 64 * 1024
const MAX_SETTINGS = 20
/** Folders of what others wrote: nothing in them says how this is built. */
const OF_OTHERS = /(?:^|\/)(?:node_modules|vendor|\.git|\.venv|venv|target|__pycache__)\/./

/** As much of a folder of a commit as tells how it is built. */
export async function readTree(
  {
    source,
    files,
  }: { readonly source: Source; readonly files: ReadonlyMap<string, { readonly kind: EntryKind }> },
  folder: string,
  signal: AbortSignal,
): Promise<Tree> {
  const paths = new Set<string>()
  for (const [path, { kind }] of files) {
    if (OF_OTHERS.test(path)) continue
    if (kind === 'folder') paths.add(`${path}/`)
    if (kind === 'file') paths.add(path)
  }
  const texts = new Map<string, string>()
  const read = async (wanted: readonly string[]) => {
    for (const path of wanted.filter((one) => !texts.has(one))) {
      const at = folder === '.' ? path : `${folder}/${path}`
      texts.set(path, await source.read(at, signal, READ_WHOLE.test(path) ? undefined : READ_BYTES))
    }
  }
  // Those in front first: of many packages the ones of the root tell most.
  const sorted = [...paths].sort((a, b) => depthOf(a) - depthOf(b) || (a < b ? -1 : 1))
  for (const { path, max } of READ) await read(sorted.filter((one) => path.test(one)).slice(0, max))
  const django = djangoPackage(texts.get('manage.py'))?.replaceAll('.', '/')
  const ofSettings = (path: string) =>
    path.startsWith(`${django}/`) && /^\/settings(?:\/\w+)?\.py$/.test(path.slice(django?.length))
  if (django !== undefined) await read(sorted.filter(ofSettings).slice(0, MAX_SETTINGS))
  return { paths, texts }
}

function depthOf(path: string): number {
  return path.split('/').length
}
