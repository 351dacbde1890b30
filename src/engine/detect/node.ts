import { type Manager, managerOf } from './node-managers.js'
import { checkPages, pagesOf } from './node-pages.js'
import { needsDevelopment, type Start, startOf } from './node-start.js'
import { type Package, readPackage } from './package-json.js'
import {
  type Detector,
  NEVER_SENT,
  ownFolder,
  present,
  runs,
  stages,
  type Tree,
  USER,
  withVersion,
} from './recipe.js'
import { servesFiles, WITHOUT_HIDDEN } from './static.js'

const PORT = 3000
const DEFAULT_VERSION = '22'
/** Where corepack puts the package managers that it fetches, if they are needed in the run stage as well. */
const COREPACK = '/opt/corepack'

export const detectNode: Detector = (tree, images) => {
  const text = tree.texts.get('package.json')
  if (text === undefined) return null
  const found = readPackage(text)
  if (!found) return { problem: 'package.json is not a JSON object: mend it' }
  const image = withVersion(images.node, versionOf(tree, found))
  const manager = managerOf(tree, found, image)
  const start = startOf(tree, found, manager)
  if (start && 'problem' in start) return start
  const recipe = {
    language: 'Node.js',
    because: ['package.json', ...present(tree, [...manager.files, 'Procfile'])],
    ignore: [...NEVER_SENT, '**/node_modules', '**/npm-debug.log*', ...manager.ignore],
  }
  if (start) return { ...recipe, dockerfile: program(tree, found, manager, image, start) }
  if (found.scripts.has('build')) {
    const folder = pagesOf(tree, found)
    const build = [...buildStage(tree, found, manager, image), checkPages(folder)]
    const copies = [`COPY --from=build /app/${folder}/ /www/`, WITHOUT_HIDDEN]
    return { ...recipe, dockerfile: stages(build, ...servesFiles(images, copies, 'index.html')) }
  }
  return {
    problem:
      'package.json has no "start" script, no "main" file and no "build" script: add a start script that listens on $PORT',
  }
}

/** Major versions only, where one is named: `20`, `v20.11.1`, `20.x`, `^20.9`. A range is met by the default. */
function versionOf(tree: Tree, { engine }: Package): string {
  const asked = [tree.texts.get('.nvmrc'), tree.texts.get('.node-version'), engine]
  for (const text of asked) {
    const version = /^[v^~=]?(\d{1,3})(?:\.[\dx*]+)*$/.exec((text ?? '').trim())?.[1]
    if (version) return version
  }
  return DEFAULT_VERSION
}

function program(tree: Tree, found: Package, manager: Manager, image: string, start: Start): string {
  const isCalled = start.lines.some((line) => new RegExp(`\\b${manager.name}\\b`).test(line))
  const kept = isCalled && manager.isFetched ? [`ENV COREPACK_HOME=${COREPACK}`] : []
  const [from = '', ...build] = buildStage(tree, found, manager, image)
  const prune = manager.prune === null || needsDevelopment(tree, start, found) ? [] : [`RUN ${manager.prune}`]
  const bins = typeof start.command === 'string' ? ' PATH=/app/node_modules/.bin:$PATH' : ''
  const run = [
    `FROM ${image}`,
    ...(isCalled ? [...kept, ...manager.setup] : []),
    ...kept.map(() => `COPY --from=build --chown=${USER} ${COREPACK} ${COREPACK}`),
    ...ownFolder(),
    `ENV NODE_ENV=production${bins}`,
    `COPY --from=build --chown=${USER} /app ./`,
    ...runs(PORT, start.command),
  ]
  return stages([from, ...kept, ...build, ...prune], run)
}

function buildStage(tree: Tree, found: Package, manager: Manager, image: string): string[] {
  const install = `RUN ${manager.install}`
  // Where an installation reads files it needs them all; else packages are a layer that stays.
  const together =
    found.readsFiles ||
    present(tree, ['.yarn/', 'pnpm-workspace.yaml', '.pnpmfile.cjs', '.pnpmfile.mjs']).length > 0
  const manifests = ['package.json', ...present(tree, manager.files)].join(' ')
  return [
    `FROM ${image} AS build`,
    ...manager.setup,
    'WORKDIR /app',
    ...(together ? ['COPY . .', install] : [`COPY ${manifests} ./`, install, 'COPY . .']),
    ...(found.scripts.has('build') ? [`RUN ${manager.name} run build`] : []),
  ]
}
