import {
  type Detector,
  NEVER_SENT,
  ownFolder,
  present,
  procfileCommand,
  runs,
  stages,
  type Tree,
  USER,
  withVersion,
} from './recipe.js'
import { servesFiles, WITHOUT_HIDDEN } from './static.js'

const PORT = 3000
const DEFAULT_VERSION = '22'

interface Package {
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: ReadonlySet<string>
  readonly main: string | null
  readonly packageManager: string
  readonly engine: string
  readonly hasWorkspaces: boolean
}

/** How a package manager installs, runs a script, and takes away what only the build needs. */
interface Manager {
  readonly files: readonly string[]
  readonly setup: readonly string[]
  readonly install: string
  readonly run: string
  readonly prune: string | null
}

export const detectNode: Detector = (tree, images) => {
  const text = tree.texts.get('package.json')
  if (text === undefined) return null
  const found = readPackage(text)
  if (!found) return { problem: 'package.json is not a JSON object: mend it' }
  const manager = managerOf(tree, found)
  const command = commandOf(tree, found, manager)
  const image = withVersion(images.node, versionOf(tree, found))
  const build = buildStage(tree, found, manager, image, command !== null)
  const recipe = {
    language: 'Node.js',
    because: ['package.json', ...present(tree, [...manager.files, 'Procfile'])],
    ignore: [...NEVER_SENT, '**/node_modules', '**/npm-debug.log*'],
  }
  if (command) return { ...recipe, dockerfile: stages(build, runStage(image, command)) }
  if (found.scripts.build !== undefined) {
    const pages = servesFiles(
      images,
      [`COPY --from=build /app/${outputOf(found)}/ /www/`, WITHOUT_HIDDEN],
      'index.html',
    )
    return { ...recipe, dockerfile: stages(build, ...pages) }
  }
  return {
    problem:
      'package.json has no "start" script, no "main" file and no "build" script: add a start script that listens on $PORT',
  }
}

function readPackage(text: string): Package | null {
  try {
    const json = JSON.parse(text) as Record<string, unknown> | null
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return null
    const names = ['dependencies', 'devDependencies'].flatMap((field) => Object.keys(objectOf(json[field])))
    const scripts = Object.entries(objectOf(json.scripts)).filter(([, line]) => typeof line === 'string')
    const string = (value: unknown) => (typeof value === 'string' ? value : '')
    return {
      scripts: Object.fromEntries(scripts) as Record<string, string>,
      dependencies: new Set(names),
      main: string(json.main) || null,
      packageManager: string(json.packageManager),
      engine: string(objectOf(json.engines).node),
      hasWorkspaces: json.workspaces !== undefined,
    }
  } catch {
    return null
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function managerOf(tree: Tree, { packageManager }: Package): Manager {
  if (packageManager.startsWith('pnpm') || tree.paths.has('pnpm-lock.yaml')) {
    const frozen = tree.paths.has('pnpm-lock.yaml') ? ' --frozen-lockfile' : ''
    return {
      files: ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc'],
      setup: ['RUN corepack enable'],
      install: `pnpm install${frozen}`,
      run: 'pnpm run',
      prune: 'pnpm prune --prod --ignore-scripts',
    }
  }
  if (packageManager.startsWith('yarn') || tree.paths.has('yarn.lock')) return yarnOf(tree, packageManager)
  const lock = present(tree, ['package-lock.json', 'npm-shrinkwrap.json'])
  return {
    files: ['package-lock.json', 'npm-shrinkwrap.json', '.npmrc'],
    setup: [],
    install: lock.length > 0 ? 'npm ci' : 'npm install',
    run: 'npm run',
    prune: 'npm prune --omit=dev --ignore-scripts',
  }
}

/** Yarn from version 2 on is another program than Yarn 1, which images bring along. */
function yarnOf(tree: Tree, packageManager: string): Manager {
  const files = ['yarn.lock', '.yarnrc', '.yarnrc.yml', '.npmrc']
  const isModern = /^yarn@[2-9]/.test(packageManager) || tree.paths.has('.yarnrc.yml')
  if (isModern) {
    return {
      files,
      setup: ['RUN corepack enable'],
      install: 'yarn install --immutable',
      run: 'yarn run',
      prune: null,
    }
  }
  const frozen = tree.paths.has('yarn.lock') ? ' --frozen-lockfile' : ''
  const install = `yarn install${frozen}`
  return { files, setup: [], install, run: 'yarn run', prune: `${install} --production --ignore-scripts` }
}

/** Major versions only, where one is named: `20`, `v20.11.1`, `20.x`, `^20.9`. A range is met by the default. */
function versionOf(tree: Tree, { engine }: Package): string {
  const asked = [tree.texts.get('.nvmrc'), tree.texts.get('.node-version'), engine]
  for (const text of asked) {
    const version = /^\s*[v^~=]?\s*(\d{1,3})(?:\.[\dx*]+)*\s*$/.exec(text ?? '')?.[1]
    if (version) return version
  }
  return DEFAULT_VERSION
}

/** Servers of pages under development, which are no way to serve them to others. */
const DEVELOPMENT =
  /^(react-scripts start|vite|vite dev|vue-cli-service serve|ng serve|parcel|astro dev|gatsby develop)\b(?! (preview|build))/

/** Null: there is nothing that runs; what a build makes are pages. */
function commandOf(tree: Tree, found: Package, { run }: Manager): readonly string[] | string | null {
  const line = procfileCommand(tree)
  if (line) return line
  const { start } = found.scripts
  if (start !== undefined && !(DEVELOPMENT.test(start) && found.scripts.build !== undefined)) {
    // Without a package manager in between, which keeps memory and signals to itself.
    const file = /^node ([\w./-]+)$/.exec(start)?.[1]
    const isPlain = found.scripts.prestart === undefined && found.scripts.poststart === undefined
    return file && isPlain ? ['node', file] : [...run.split(' '), 'start']
  }
  const file = [found.main ?? '', 'server.js', 'index.js', 'app.js'].find((name) => tree.paths.has(name))
  return file === undefined ? null : ['node', file]
}

function buildStage(tree: Tree, found: Package, manager: Manager, image: string, isRun: boolean): string[] {
  const install = `RUN ${manager.install}`
  const ownScripts = ['preinstall', 'install', 'postinstall', 'prepare'].some((name) => name in found.scripts)
  // Scripts of an installation, and workspaces, need the files; else packages are a layer that stays.
  const together =
    ownScripts || found.hasWorkspaces || tree.paths.has('.yarn/') || tree.paths.has('pnpm-workspace.yaml')
  const manifests = ['package.json', ...present(tree, manager.files)].join(' ')
  return [
    `FROM ${image} AS build`,
    ...manager.setup,
    'ENV CI=true',
    'WORKDIR /app',
    ...(together ? ['COPY . .', install] : [`COPY ${manifests} ./`, install, 'COPY . .']),
    ...(found.scripts.build === undefined ? [] : [`RUN ${manager.run} build`]),
    ...(isRun && manager.prune !== null ? [`RUN ${manager.prune}`] : []),
  ]
}

function runStage(image: string, command: readonly string[] | string): string[] {
  const name = typeof command === 'string' ? command : (command[0] ?? '')
  return [
    `FROM ${image}`,
    ...(/^(pnpm|yarn)\b/.test(name) ? ['RUN corepack enable'] : []),
    ...ownFolder(),
    'ENV NODE_ENV=production',
    `COPY --from=build --chown=${USER} /app ./`,
    ...runs(PORT, command),
  ]
}

/** Where the build of a site puts its pages. */
function outputOf({ dependencies }: Package): string {
  if (dependencies.has('react-scripts')) return 'build'
  if (dependencies.has('gatsby')) return 'public'
  if (dependencies.has('@11ty/eleventy')) return '_site'
  if (dependencies.has('@docusaurus/core')) return 'build'
  return 'dist'
}
