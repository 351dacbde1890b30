import { type Manager, managerOf } from './node-managers.js'
import { checkPages, pagesOf } from './node-pages.js'
import { generatesClient, usesPrisma } from './node-prisma.js'
import { needsDevelopment, type Start, startOf } from './node-start.js'
import { type Package, readPackage } from './package-json.js'
import {
  debianPackages,
  type Detector,
  NEVER_SENT,
  homeFolder,
  isLocalIn,
  present,
  runInstructions,
  stages,
  type Tree,
  USER,
  withVersion,
} from './detected-build.js'
import { servesFiles, WITHOUT_HIDDEN } from './static.js'
import { nodeVersion } from './node-version.js'

const PORT = 3000
/** Where corepack puts the package managers that it fetches, if they are needed in the run stage as well. */
const COREPACK = '/opt/corepack'

/** What is known of an app before its start. */
interface NodeApp {
  readonly tree: Tree
  readonly found: Package
  readonly manager: Manager
  /** The base image. */
  readonly image: string
}

export const detectNode: Detector = (tree, images) => {
  const text = tree.texts.get('package.json')
  if (text === undefined) return null
  const found = readPackage(text)
  if (!found) return { problem: 'package.json is not a JSON object: fix it' }
  const chosen = nodeVersion(tree, found, isLocalIn(images, images.node))
  if ('problem' in chosen) return chosen
  const image = withVersion(images.node, chosen.version)
  const manager = managerOf(tree, found, image)
  const app = { tree, found, manager, image }
  const start = startOf(tree, found, manager)
  if (start && 'problem' in start) return start
  const detected = {
    language: 'Node.js',
    notes: [`Node.js ${chosen.version}: ${chosen.note}`],
    detectedBy: ['package.json', ...present(tree, [...manager.files, 'Procfile'])],
    ignore: [...NEVER_SENT, '**/node_modules', '**/npm-debug.log*', ...manager.ignore],
  }
  if (start) return { ...detected, dockerfile: program(app, start) }
  if (found.scripts.has('build')) {
    const folder = pagesOf(tree, found)
    const build = [...buildStage(app), checkPages(folder)]
    const copies = [`COPY --from=build /app/${folder}/ /www/`, WITHOUT_HIDDEN]
    return { ...detected, dockerfile: stages(build, ...servesFiles(images, copies, ['index.html'])) }
  }
  return {
    problem:
      'package.json has no "start" script, no "main" file and no "build" script: add a start script that listens on $PORT',
  }
}

function program(app: NodeApp, start: Start): string {
  const { found, manager, image } = app
  const isCalled = start.lines.some((line) => new RegExp(`\\b${manager.name}x?\\b`).test(line))
  const kept = isCalled && manager.isFetched ? [`ENV COREPACK_HOME=${COREPACK}`] : []
  const [from = '', ...build] = buildStage(app)
  const bins = typeof start.command === 'string' ? ' PATH=/app/node_modules/.bin:$PATH' : ''
  const run = [
    `FROM ${image}`,
    ...debianPackages(usesPrisma(found) ? ['openssl'] : []),
    ...(isCalled ? [...kept, ...manager.setup] : []),
    ...kept.map(() => `COPY --from=build --chown=${USER} ${COREPACK} ${COREPACK}`),
    ...homeFolder(),
    `ENV NODE_ENV=production${bins}`,
    `COPY --from=build --chown=${USER} /app ./`,
    ...runInstructions(PORT, start.command),
  ]
  return stages([from, ...kept, ...build, ...pruning(app, start)], run)
}

/** Managers but npm take away the client that Prisma has put between the packages. */
function pruning({ tree, found, manager }: NodeApp, start: Start): string[] {
  const isKept = needsDevelopment(tree, start, found) || (usesPrisma(found) && manager.name !== 'npm')
  return manager.prune === null || isKept ? [] : [`RUN ${manager.prune}`]
}

function buildStage({ tree, found, manager, image }: NodeApp): string[] {
  const install = `RUN ${manager.install}`
  // Where an installation reads files it needs them all; else packages are a layer that stays.
  const together =
    found.readsFiles ||
    usesPrisma(found) ||
    present(tree, ['.yarn/', 'pnpm-workspace.yaml', '.pnpmfile.cjs', '.pnpmfile.mjs']).length > 0
  const manifests = ['package.json', ...present(tree, manager.files)].join(' ')
  const system = [
    ...(usesPrisma(found) ? ['openssl'] : []),
    ...(found.readsGit ? ['ca-certificates', 'git'] : []),
  ]
  return [
    `FROM ${image} AS build`,
    ...debianPackages(system),
    ...manager.setup,
    'WORKDIR /app',
    ...(together ? ['COPY . .', install] : [`COPY ${manifests} ./`, install, 'COPY . .']),
    ...(generatesClient(tree, found) ? ['RUN npx prisma generate'] : []),
    ...(found.scripts.has('build') ? [`RUN ${manager.name} run build`] : []),
  ]
}
