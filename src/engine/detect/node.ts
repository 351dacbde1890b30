import { browserOf } from './node-browsers.js'
import { cacheMounts } from './node-caches.js'
import { calledManagers, type Manager, managerOf } from './node-managers.js'
import { checkPages, pagesOf } from './node-pages.js'
import { generatesClient, usesPrisma } from './node-prisma.js'
import { calledLines, isCheckOnly, needsDevelopment, type Start, startOf } from './node-start.js'
import { type Member, memberOf } from './node-workspaces.js'
import { type Package, readPackage, uses } from './package-json.js'
import {
  debianPackages,
  type Detector,
  type Images,
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
  /** The package of a workspace that is deployed, if it is not the root's. */
  readonly member: Member | null
  readonly images: Images
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
  const ofRoot = startOf(tree, found, manager)
  const member = ofRoot === null ? memberOf(tree) : null
  if (member && 'problem' in member) return member
  const start = member ? startOf(member.tree, member.found, manager) : ofRoot
  if (start && 'problem' in start) return start
  const app = { tree, found, manager, image, member, images }
  const detected = {
    language: 'Node.js',
    notes: [`Node.js ${chosen.version}: ${chosen.note}`, ...notesOf(app)],
    detectedBy: ['package.json', ...present(tree, [...manager.files, 'Procfile'])],
    ignore: [...NEVER_SENT, '**/node_modules', '**/npm-debug.log*', ...manager.ignore],
  }
  const dockerfile = start ? program(app, start) : site(app)
  if (dockerfile !== null) return { ...detected, dockerfile }
  return {
    problem:
      'package.json has no "start" script, no "main" file and no "build" script that makes pages: add a start script that listens on $PORT',
  }
}

function notesOf({ manager, member }: NodeApp): string[] {
  return [
    ...(manager.isStale
      ? [
          'The lock file does not fit package.json: packages are installed without keeping to it. Run the package manager and commit what it writes',
        ]
      : []),
    ...(member ? [`${member.folder} is deployed, built from the root of its workspace`] : []),
  ]
}

/** Null: there is no build that makes pages. */
function site(app: NodeApp): string | null {
  const { images } = app
  const { tree, found } = app.member ?? app
  const line = found.scripts.get('build')
  if (line === undefined || isCheckOnly(line)) return null
  const folder = pagesOf(tree, found)
  const build = [...buildStage(app, []), checkPages(folder)]
  const copies = [`COPY --from=build ${folderOf(app)}/${folder}/ /www/`, WITHOUT_HIDDEN]
  return stages(build, ...servesFiles(images, copies, ['index.html']))
}

/** Where the program is built and started. */
function folderOf({ member }: NodeApp): string {
  return member ? `/app/${member.folder}` : '/app'
}

function program(app: NodeApp, start: Start): string {
  const { manager, image, member } = app
  const { found } = member ?? app
  const isCalled = start.lines.some((line) => new RegExp(`\\b${manager.name}x?\\b`).test(line))
  const kept = isCalled && manager.isFetched ? [`ENV COREPACK_HOME=${COREPACK}`] : []
  const [from = '', ...build] = buildStage(app, start.lines)
  const bins = [...(member ? [`${folderOf(app)}/node_modules/.bin`] : []), '/app/node_modules/.bin']
  const path = typeof start.command === 'string' ? ` PATH=${bins.join(':')}:$PATH` : ''
  const browser = browserOf(found)
  const run = [
    `FROM ${image}`,
    ...debianPackages(usesPrisma(found) ? ['openssl'] : []),
    ...browser.run,
    ...(isCalled ? [...kept, ...manager.setup] : []),
    ...calledManagers(start.lines, manager),
    ...kept.map(() => `COPY --from=build --chown=${USER} ${COREPACK} ${COREPACK}`),
    ...homeFolder(),
    `ENV NODE_ENV=production${path}`,
    // Astro, Nuxt and Vite listen on HOST, the server of Next.js on HOSTNAME.
    `ENV HOST=0.0.0.0${uses(found, 'next') ? ' HOSTNAME=0.0.0.0' : ''}`,
    `COPY --from=build --chown=${USER} /app ./`,
    ...browser.after,
    ...(member ? [`WORKDIR ${folderOf(app)}`] : []),
    ...runInstructions(PORT, start.command),
  ]
  return stages([from, ...kept, ...build, ...pruning(app, start)], run)
}

/** Managers but npm take away the client that Prisma has put between the packages; in a workspace others need them. */
function pruning({ tree, found, manager, member }: NodeApp, start: Start): string[] {
  const isKept =
    member !== null || needsDevelopment(tree, start, found) || (usesPrisma(found) && manager.name !== 'npm')
  return manager.prune === null || isKept ? [] : [`RUN ${manager.prune}`]
}

function buildStage(app: NodeApp, lines: readonly string[]): string[] {
  const { tree, found, manager, image, member } = app
  const own = member?.found ?? found
  const install = `RUN ${manager.install}`
  // Where an installation reads files it needs them all; else packages are a layer that stays.
  const together =
    member !== null ||
    found.readsFiles ||
    usesPrisma(found) ||
    present(tree, ['.yarn/', 'pnpm-workspace.yaml', '.pnpmfile.cjs', '.pnpmfile.mjs']).length > 0
  const manifests = ['package.json', ...present(tree, manager.files)].join(' ')
  const system = [
    ...(usesPrisma(own) ? ['openssl'] : []),
    ...(found.readsGit || own.readsGit ? ['ca-certificates', 'git'] : []),
  ]
  const called = [
    ...lines,
    ...calledLines('npm run build', own),
    ...(own.scripts.get('postinstall') ?? '').split('\n'),
  ]
  return [
    `FROM ${image} AS build`,
    ...debianPackages(system),
    ...manager.setup,
    ...calledManagers(called, manager),
    ...browserOf(own).build,
    'WORKDIR /app',
    ...(together ? ['COPY . .', install] : [`COPY ${manifests} ./`, install, 'COPY . .']),
    ...(generatesClient(tree, found) ? ['RUN npx prisma generate'] : []),
    ...builds(app),
  ]
}

/** The root's script builds all of a workspace; else what the package needs is built before it. */
function builds(app: NodeApp): string[] {
  const { tree, found, manager, member, images } = app
  const run = `${manager.name} run build`
  const own = member?.found ?? found
  const packages = member && found.scripts.has('build') ? [found, own] : [own]
  const step = `RUN ${cacheMounts(packages, images, folderOf(app))}${run}`
  if (!member) return found.scripts.has('build') ? [step] : []
  const before = found.scripts.has('build')
    ? [step]
    : member.needs.map((folder) => `RUN cd ${folder} && ${run}`)
  const isBuilt = found.scripts.has('build') || !own.scripts.has('build')
  const isGenerated = generatesClient(member.tree, own) && !generatesClient(tree, found)
  return [
    ...before,
    `WORKDIR ${folderOf(app)}`,
    ...(isGenerated ? ['RUN npx prisma generate'] : []),
    ...(isBuilt ? [] : [step]),
  ]
}
