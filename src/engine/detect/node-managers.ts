import { isStaleLock } from './node-lock.js'
import { firstWithin } from './versions.js'
import type { Package } from './package-json.js'
import { present, type Tree } from './detected-build.js'

/** How a package manager installs, runs a script, and takes away what only the build needs. */
export interface Manager {
  readonly name: 'npm' | 'pnpm' | 'yarn' | 'bun'
  /** What it reads beside package.json. */
  readonly files: readonly string[]
  /** What a stage needs that calls it. */
  readonly setup: readonly string[]
  /** Whether it is corepack that fetches it, when it is first called. */
  readonly isFetched: boolean
  /** CI keeps it from asking. A build does not get it: react-scripts would take warnings for errors. */
  readonly install: string
  readonly prune: string | null
  /** Whether the lock file does not fit package.json, and is not kept to. */
  readonly isStale: boolean
  /** Lines of a .dockerignore. */
  readonly ignore: readonly string[]
}

/** The last Node.js whose images have corepack, and the last with Yarn 1. */
const LAST_WITH_COREPACK = 24
const LAST_WITH_YARN = 25

export function managerOf(tree: Tree, found: Package, image: string): Manager {
  const { packageManager } = found
  if (packageManager.startsWith('pnpm') || tree.paths.has('pnpm-lock.yaml')) return pnpm(tree, found)
  if (packageManager.startsWith('yarn') || tree.paths.has('yarn.lock')) {
    // Yarn from version 2 on is another program than Yarn 1, which images bring along.
    const isModern = /^yarn@[2-9]/.test(packageManager) || tree.paths.has('.yarnrc.yml')
    return isModern ? modernYarn(tree, image) : classicYarn(tree, image)
  }
  const lock = present(tree, ['package-lock.json', 'npm-shrinkwrap.json'])
  const bunLock = present(tree, ['bun.lock', 'bun.lockb'])
  if (packageManager.startsWith('bun') || (bunLock.length > 0 && lock.length === 0))
    return bun(bunLock, packageManager)
  const isStale = isStaleLock(tree, lock[0] ?? '')
  return {
    name: 'npm',
    files: ['package-lock.json', 'npm-shrinkwrap.json', '.npmrc'],
    setup: [],
    isFetched: false,
    install: `CI=true npm ${lock.length > 0 && !isStale ? 'ci' : 'install'}`,
    isStale,
    prune: 'npm prune --omit=dev --ignore-scripts',
    ignore: [],
  }
}

/** By npm, not by corepack: that takes the newest where none is named, which the corepack of Node.js 22 cannot start. */
function pnpm(tree: Tree, { packageManager, pnpmEngine }: Package): Manager {
  const isStale = isStaleLock(tree, 'pnpm-lock.yaml')
  const frozen = tree.paths.has('pnpm-lock.yaml') ? ` --${isStale ? 'no-' : ''}frozen-lockfile` : ''
  const version = versionIn('pnpm', packageManager) ?? pnpmVersion(tree, pnpmEngine)
  return {
    name: 'pnpm',
    files: ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc'],
    setup: [`RUN npm install --global pnpm@${version}`],
    isFetched: false,
    install: `CI=true pnpm install${frozen}`,
    isStale,
    // Before 8.15.6 `pnpm prune` always runs scripts, some of which call what it has just taken away.
    prune: `CI=true pnpm install${frozen} --prod --ignore-scripts`,
    ignore: [],
  }
}

/** The version in `name@version+hash`, where it is one. */
function versionIn(name: string, packageManager: string): string | null {
  const [wanted = ''] = packageManager.split('+')
  if (!wanted.startsWith(`${name}@`)) return null
  return /^\d+(?:\.\d+){0,2}(?:-[\w.]+)?$/.exec(wanted.slice(name.length + 1))?.[0] ?? null
}

const NEWEST = ['10', '9', '8', '7', '6']
/** By the format of a lock file. */
const READERS = new Map([
  ['5', ['7', '6']],
  ['6', ['8']],
  ['9', ['10', '9']],
])

/** The newest that reads the lock file as it is. One that has its settings in pnpm-workspace.yaml is pnpm 10. */
function pnpmVersion(tree: Tree, engine: string): string {
  const lock = tree.texts.get('pnpm-lock.yaml') ?? ''
  const format = /^lockfileVersion:[ \t]*['"]?(\d+)/m.exec(lock)?.[1]
  const readers = READERS.get(format ?? '') ?? NEWEST
  const known = format === '9' && !tree.paths.has('pnpm-workspace.yaml') ? ['9', '10'] : readers
  return firstWithin(engine, known) ?? firstWithin(engine, NEWEST) ?? known[0] ?? ''
}

/** Lines that bring a manager which only scripts call. */
export function calledManagers(lines: readonly string[], { name }: Manager): string[] {
  const calls = (program: string) =>
    name !== program && lines.some((line) => new RegExp(`(?:^|[\\s;&|])${program}x? `).test(line))
  return [
    ...(calls('bun') ? bun([], '').setup : []),
    ...(calls('pnpm') ? ['RUN npm install --global pnpm@10'] : []),
  ]
}

/** It never takes away what is there; a script of its package that npm may leave out puts it where it is called. */
function bun(lock: readonly string[], packageManager: string): Manager {
  const version = versionIn('bun', packageManager) ?? '1'
  const finish = '{ bun --version || node "$(npm root --global)/bun/install.js"; }'
  return {
    name: 'bun',
    files: ['bun.lock', 'bun.lockb', 'bunfig.toml', '.npmrc'],
    setup: [`RUN npm install --global bun@${version} && ${finish}`],
    isFetched: false,
    install: `CI=true bun install${lock.length > 0 ? ' --frozen-lockfile' : ''}`,
    prune: null,
    isStale: false,
    ignore: [],
  }
}

/** Node.js itself finds packages in node_modules only; the cache stays where the run stage does not copy it from. */
function modernYarn(tree: Tree, image: string): Manager {
  return {
    name: 'yarn',
    files: ['yarn.lock', '.yarnrc.yml', '.npmrc'],
    setup: [corepack(image), 'ENV YARN_NODE_LINKER=node-modules YARN_ENABLE_GLOBAL_CACHE=true'],
    isFetched: true,
    install: `CI=true yarn install${tree.paths.has('yarn.lock') ? ' --immutable' : ''}`,
    prune: null,
    isStale: false,
    ignore: ['.pnp.*', '.yarn/cache', '.yarn/unplugged'],
  }
}

function classicYarn(tree: Tree, image: string): Manager {
  const install = `yarn install${tree.paths.has('yarn.lock') ? ' --frozen-lockfile' : ''}`
  return {
    name: 'yarn',
    files: ['yarn.lock', '.yarnrc', '.npmrc'],
    setup: isUpTo(LAST_WITH_YARN, image) ? [] : ['RUN npm install --global --force yarn@1'],
    isFetched: false,
    install: `CI=true ${install}`,
    prune: `${install} --production --ignore-scripts`,
    isStale: false,
    ignore: [],
  }
}

/** By force: it brings a `yarn` of its own, which some images have already. */
function corepack(image: string): string {
  const install = isUpTo(LAST_WITH_COREPACK, image) ? '' : 'npm install --global --force corepack && '
  return `RUN ${install}corepack enable`
}

/** False where the image's name does not tell. */
function isUpTo(last: number, image: string): boolean {
  const [name = ''] = image.split('@')
  return Number(/:v?(\d{1,3})[^/:]*$/.exec(name)?.[1] ?? Infinity) <= last
}
