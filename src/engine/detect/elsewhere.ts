import { linesOf, type Tree } from './detected-build.js'

const DOCKERFILE =
  /(?:^|\/)(?:(?:Docker|Container)file(?:\.[\w-]+)?|[\w-]+\.(?:Docker|Container)file|dockerfile)$/
const COMPOSE = /(?:^|\/)(?:docker-)?compose(?:\.[\w-]+)?\.ya?ml$/
const MANIFEST =
  /^[^/]+\/(?:[^/]+\/)?(?:package\.json|requirements\.txt|pyproject\.toml|go\.mod|Cargo\.toml|index\.html)$/
/** How many are listed: more are no help. */
const SHOWN = 5

/** Those of the paths that look like Dockerfiles. */
export function dockerfilesIn(paths: readonly string[]): string[] {
  return paths.filter((path) => DOCKERFILE.test(path)).sort()
}

/** Where there is something to build, if not in the root: what to set. Empty: nowhere. */
export function elsewhere(tree: Tree): string {
  const paths = [...tree.paths].sort()
  const dockerfiles = dockerfilesIn(paths)
  const compose = paths.filter((path) => COMPOSE.test(path))
  const manifests = paths.filter((path) => MANIFEST.test(path))
  const [inner] = dockerfiles.filter((path) => path.includes('/'))
  if (inner !== undefined) {
    const folder = inner.slice(0, inner.lastIndexOf('/'))
    const with_ = compose.length > 0 ? ` An app for each service of ${compose[0]}.` : ''
    return `there is ${listed(dockerfiles)}: set contextPath to a folder ("${folder}"), or dockerfilePath to a file ("${inner}") that copies from the root.${with_}`
  }
  if (dockerfiles[0] !== undefined)
    return `there is ${listed(dockerfiles)}: set dockerfilePath to "${dockerfiles[0]}"`
  const of =
    compose.length > 0
      ? `, and ${listed(compose)}, which Longshore does not run: make an app for each service`
      : ''
  if (manifests.length > 0) {
    const folder = manifests[0]?.slice(0, manifests[0].lastIndexOf('/'))
    return `there is ${listed(manifests)}: set contextPath to its folder ("${folder}")${of}`
  }
  if (compose.length === 0) return ''
  return `there is ${listed(compose)}, which Longshore does not run: make an app for each service, with its Dockerfile`
}

/** Some of them, and how many more there are. */
export function listed(paths: readonly string[]): string {
  const rest = paths.length - SHOWN
  return `${paths.slice(0, SHOWN).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

/** What is beside a detected program, and is not used. */
export function unusedNotes(tree: Tree): string[] {
  const other = [...tree.paths].find((path) => !path.includes('/') && DOCKERFILE.test(path))
  const types = linesOf(tree.texts.get('Procfile') ?? '').flatMap(
    (line) => /^([A-Za-z][\w-]*):/.exec(line)?.[1] ?? [],
  )
  const release = types.includes('release')
    ? ['The "release" line of the Procfile is ignored: its command (such as migrations) is not run']
    : []
  const others = types.filter((type) => !['web', 'release'].includes(type))
  return [
    ...(other === undefined
      ? []
      : [`${other} is not used: set dockerfilePath to "${other}" to build with it`]),
    ...release,
    ...(others.length === 0 ? [] : [`Of the Procfile only "web" runs, not ${listed(others)}`]),
  ]
}
