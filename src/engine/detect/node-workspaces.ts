import { declaresStart } from './node-start.js'
import { objectOf, type Package, parseObject, readPackage, stringOf, uses } from './package-json.js'
import { linesOf, type Problem, type Tree } from './detected-build.js'

/** A package of a workspace that is deployed: built from the workspace's root, started in its own folder. */
export interface Member {
  /** Below the root, without a slash at its end. */
  readonly folder: string
  readonly tree: Tree
  readonly found: Package
  /** Folders of packages of the workspace that it needs, those that others need first. */
  readonly needs: readonly string[]
}

const MAX_PATTERN = 200
/** Names of what serves, where several do; the first that exists is it only if no other is. */
const USUAL = /(?:^|\/)(?:web|server|app|api|backend|site|www)$/

/** Null: it is no workspace, or nothing in it can be deployed. */
export function memberOf(tree: Tree): Member | Problem | null {
  const patterns = patternsOf(tree)
  if (patterns.length === 0) return null
  const packages = [...tree.texts].flatMap(([path, text]) => {
    const folder = /^(.+)\/package\.json$/.exec(path)?.[1]
    const found =
      folder !== undefined && patterns.some((one) => matches(one, folder)) ? readPackage(text) : null
    return folder !== undefined && found ? [{ folder, found, name: stringOf(parseObject(text)?.name) }] : []
  })
  const candidates = packages.flatMap(({ folder, found }) => {
    const own = below(tree, folder)
    return isDeployed(own, found) ? [{ folder, found, tree: own }] : []
  })
  if (candidates.length === 0) return null
  const usual = candidates.filter(({ folder }) => USUAL.test(folder))
  const [chosen] = candidates.length === 1 ? candidates : usual
  if (chosen === undefined || (candidates.length > 1 && usual.length > 1)) {
    const names = candidates
      .map(({ folder }) => folder)
      .sort()
      .slice(0, 10)
      .join(', ')
    return {
      problem: `the workspace has several packages that can be started (${names}): add a "start" script to its package.json that starts one, or a Dockerfile`,
    }
  }
  return { ...chosen, needs: needsOf(chosen, packages) }
}

/** Pages or a program: a package that only others use has neither. */
function isDeployed(tree: Tree, found: Package): boolean {
  const makesPages = [
    'vite',
    'react-scripts',
    'astro',
    'gatsby',
    '@angular/core',
    'next',
    'nuxt',
    '@sveltejs/kit',
  ]
  const isSite =
    found.scripts.has('build') && makesPages.some((name) => uses(found, name)) && tree.paths.has('index.html')
  const isFramework = ['next', 'nuxt', '@sveltejs/kit', 'astro', '@nestjs/core'].some(
    (name) => found.dependencies.has(name) || (name !== 'next' && uses(found, name)),
  )
  const starts = found.scripts.has('start') && declaresStart(tree, found)
  return starts || isSite || (isFramework && found.scripts.has('build'))
}

function needsOf(
  chosen: { readonly folder: string; readonly found: Package },
  packages: readonly { readonly folder: string; readonly found: Package; readonly name: string }[],
): string[] {
  const needed = new Set<string>()
  const visiting = new Set<string>([chosen.folder])
  const add = (found: Package) => {
    for (const other of packages) {
      if (other.name === '' || visiting.has(other.folder) || !uses(found, other.name)) continue
      visiting.add(other.folder)
      add(other.found)
      if (other.found.scripts.has('build')) needed.add(other.folder)
    }
  }
  add(chosen.found)
  return [...needed]
}

/** A folder's files, as if it were the root. */
function below(tree: Tree, folder: string): Tree {
  const prefix = `${folder}/`
  const inner = (path: string) =>
    path.startsWith(prefix) && path !== prefix ? [path.slice(prefix.length)] : []
  return {
    paths: new Set([...tree.paths].flatMap(inner)),
    texts: new Map([...tree.texts].flatMap(([path, text]) => inner(path).map((one) => [one, text] as const))),
  }
}

function patternsOf(tree: Tree): string[] {
  const listed = parseObject(tree.texts.get('package.json') ?? '')?.workspaces
  const ofManifest = Array.isArray(listed) ? listed : objectOf(listed).packages
  const pnpm = linesOf(tree.texts.get('pnpm-workspace.yaml') ?? '')
  const start = pnpm.indexOf('packages:')
  const ofPnpm =
    start < 0
      ? []
      : pnpm.slice(start + 1).flatMap((line) => /^-[ \t]*["']?([^"'#]{1,200}?)["']?$/.exec(line)?.[1] ?? [])
  return [...(Array.isArray(ofManifest) ? ofManifest.map(stringOf) : []), ...ofPnpm].filter(
    (one) => one !== '' && one.length <= MAX_PATTERN && !one.startsWith('!'),
  )
}

/** `packages/*` and `apps/**`: what stands before the stars, and how deep. */
function matches(pattern: string, folder: string): boolean {
  const [before = '', ...rest] = pattern.replace(/^\.\//, '').replace(/\/$/, '').split('*')
  if (rest.length === 0) return before === folder
  if (!folder.startsWith(before) || folder === before) return false
  return rest.length > 1 || !folder.slice(before.length).includes('/')
}
