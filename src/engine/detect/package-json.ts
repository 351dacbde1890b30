/** What of a package.json matters here. */
export interface Package {
  readonly scripts: ReadonlyMap<string, string>
  readonly dependencies: ReadonlySet<string>
  /** What is taken away after the build: packages that are not in `dependencies` as well. */
  readonly development: ReadonlySet<string>
  readonly main: string | null
  readonly packageManager: string
  readonly engine: string
  readonly volta: string
  /** The range of pnpm in `engines`. */
  readonly pnpmEngine: string
  /** Whether an installation reads files of the repository: its own scripts, workspaces, patches, local packages. */
  readonly readsFiles: boolean
  /** Whether an installation calls git. */
  readonly readsGit: boolean
}

/** A version that is a repository: by a scheme, as `owner/name`, or an address that ends as one. */
const GIT =
  /^(?:git[+:@]|github:|gitlab:|bitbucket:|gist:|[\w-]+\/[\w.-]+(?:#|$)|https?:\/\/[^#]*\.git(?:#|$))/

/** Null: it is not a JSON object. */
export function readPackage(text: string): Package | null {
  const json = parseObject(text)
  if (!json) return null
  const production = { ...objectOf(json.dependencies), ...objectOf(json.optionalDependencies) }
  const development = objectOf(json.devDependencies)
  const scripts = new Map(
    Object.entries(objectOf(json.scripts)).flatMap(([name, line]) =>
      typeof line === 'string' ? [[name, line] as const] : [],
    ),
  )
  const versions = [...Object.values(production), ...Object.values(development)].map(stringOf)
  return {
    scripts,
    dependencies: new Set(Object.keys(production)),
    development: new Set(Object.keys(development).filter((name) => !Object.hasOwn(production, name))),
    main: stringOf(json.main).replace(/^\.\//, '') || null,
    packageManager: stringOf(json.packageManager) || developmentManager(json.devEngines),
    engine: stringOf(objectOf(json.engines).node),
    volta: stringOf(objectOf(json.volta).node),
    pnpmEngine: stringOf(objectOf(json.engines).pnpm),
    readsFiles:
      ['preinstall', 'install', 'postinstall', 'prepare'].some((name) => scripts.has(name)) ||
      json.workspaces !== undefined ||
      objectOf(json.pnpm).patchedDependencies !== undefined ||
      versions.some((version) => /^(?:(?:file|link|portal|patch):|[.~]{0,2}\/)/.test(version)),
    readsGit: versions.some((version) => GIT.test(version)),
  }
}

/** The newer place of `packageManager`: a name and a version, or a list of these. */
function developmentManager(value: unknown): string {
  const manager = objectOf(value).packageManager
  const { name, version } = objectOf(Array.isArray(manager) ? manager[0] : manager)
  return stringOf(name) === '' ? '' : `${stringOf(name)}@${stringOf(version)}`
}

export function uses({ dependencies, development }: Package, name: string): boolean {
  return dependencies.has(name) || development.has(name)
}

export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const json = JSON.parse(text) as unknown
    return typeof json === 'object' && !Array.isArray(json) ? (json as Record<string, unknown> | null) : null
  } catch {
    return null
  }
}

export function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

export function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
