import type { Package } from './package-json.js'
import { present, type Tree } from './recipe.js'

/** How a package manager installs, runs a script, and takes away what only the build needs. */
export interface Manager {
  readonly name: 'npm' | 'pnpm' | 'yarn'
  /** What it reads beside package.json. */
  readonly files: readonly string[]
  /** What a stage needs that calls it. */
  readonly setup: readonly string[]
  /** Whether it is corepack that fetches it, when it is first called. */
  readonly isFetched: boolean
  /** CI keeps it from asking. A build does not get it: react-scripts would take warnings for errors. */
  readonly install: string
  readonly prune: string | null
  /** Lines of a .dockerignore. */
  readonly ignore: readonly string[]
}

/** The last Node.js whose images have corepack, and the last with Yarn 1. */
const LAST_WITH_COREPACK = 24
const LAST_WITH_YARN = 25

export function managerOf(tree: Tree, { packageManager }: Package, image: string): Manager {
  if (packageManager.startsWith('pnpm') || tree.paths.has('pnpm-lock.yaml')) return pnpm(tree, image)
  if (packageManager.startsWith('yarn') || tree.paths.has('yarn.lock')) {
    // Yarn from version 2 on is another program than Yarn 1, which images bring along.
    const isModern = /^yarn@[2-9]/.test(packageManager) || tree.paths.has('.yarnrc.yml')
    return isModern ? modernYarn(tree, image) : classicYarn(tree, image)
  }
  const lock = present(tree, ['package-lock.json', 'npm-shrinkwrap.json'])
  return {
    name: 'npm',
    files: ['package-lock.json', 'npm-shrinkwrap.json', '.npmrc'],
    setup: [],
    isFetched: false,
    install: `CI=true npm ${lock.length > 0 ? 'ci' : 'install'}`,
    prune: 'npm prune --omit=dev --ignore-scripts',
    ignore: [],
  }
}

function pnpm(tree: Tree, image: string): Manager {
  const frozen = tree.paths.has('pnpm-lock.yaml') ? ' --frozen-lockfile' : ''
  return {
    name: 'pnpm',
    files: ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc'],
    setup: [corepack(image)],
    isFetched: true,
    install: `CI=true pnpm install${frozen}`,
    // Before 8.15.6 `pnpm prune` always runs scripts, some of which call what it has just taken away.
    prune: `CI=true pnpm install${frozen} --prod --ignore-scripts`,
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
