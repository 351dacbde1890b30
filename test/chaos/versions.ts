import { type TestRepository, freshStep, slowStep, webApp } from '../support/repository.js'
import { SERVE, scripted } from '../support/serving.js'
import { type BadEntry, blob, commitTree, entriesOf, tree } from '../support/trees.js'

const MIB = 1024 * 1024
/** Lines of .dockerignore that are slow to compare with the paths, and how long those are. */
const MATCHERS = { lines: 1_800, star: '*a'.repeat(14), paths: 12, folder: 'a'.repeat(99), folders: 20 }
const HEALTH = { 'www/health': 'well' }

interface Kind {
  /** Codes with which it may end for a fault of its own; none: it is well. */
  readonly codes: readonly string[]
  /** Whether it may come to serve. */
  readonly serves: boolean
  entries(repository: TestRepository, page: string): BadEntry[]
}

/** What a commit does when it is deployed. */
export const KINDS = {
  good: well((page) => webApp(page)),
  'slow to build': well((page) => webApp(page, [slowStep(2)])),
  'slow to start': well((page) => scripted(`busybox sleep 2; ${SERVE}`, page)),
  'becomes unhealthy': {
    ...well((page) => scripted(`(busybox sleep 6; busybox rm /www/health) & ${SERVE}`, page)),
    codes: ['ROLLED_BACK', 'UNHEALTHY'],
  },
  'ends later': {
    ...well((page) => scripted('busybox httpd -p 8080 -h /www; busybox sleep 20; exit 7', page)),
    codes: ['ROLLED_BACK', 'EXITED'],
  },
  'does not build': ill(['BUILD_FAILED'], (page) => webApp(page, [freshStep('exit 3')])),
  'ends at once': ill(['EXITED'], (page) => ({ ...scripted('exit 3', page), ...HEALTH })),
  'never healthy': ill(['UNHEALTHY'], (page) => webApp(page)),
  'dots in a tree': poisoned((repository) => ({ mode: '100644', name: '..', id: blob(repository, 'text') })),
  'absolute path': poisoned((repository) => ({ mode: '100644', name: '/abs', id: blob(repository, 'text') })),
  'git folder': poisoned((repository) => {
    const config: BadEntry = { mode: '100644', name: 'config', id: blob(repository, 'text') }
    return { mode: '40000', name: '.git', id: tree(repository, [config]) }
  }),
  'long link': poisoned((repository) => {
    return { mode: '120000', name: 'link', id: blob(repository, Buffer.alloc(40 * MIB, 'a')) }
  }),
  'slow matchers': {
    codes: ['DOCKERIGNORE_INVALID'],
    serves: true,
    entries: (repository, page) => {
      const line = `**/${MATCHERS.star}b\n`
      const files = { ...webApp(page), ...HEALTH, '.dockerignore': line.repeat(MATCHERS.lines) }
      return [...entriesOf(repository, files), deepFolder(repository)]
    },
  },
} as const satisfies Record<string, Kind>

export type KindName = keyof typeof KINDS

/** What was committed, as its answers and its end are judged by. */
export interface Version {
  readonly kind: KindName
  readonly page: string
  /** Its branch. */
  readonly ref: string
  readonly commitSha: string
}

/** Commits a version to a branch of its own, without a process of git. */
export function commitVersion(
  repository: TestRepository,
  kind: KindName,
  ref: string,
  page: string,
): Version {
  const entries = KINDS[kind].entries(repository, page)
  return { kind, page, ref, commitSha: commitTree(repository, ref, tree(repository, entries)) }
}

function well(files: (page: string) => Record<string, string>): Kind {
  return {
    codes: [],
    serves: true,
    entries: (repository, page) => entriesOf(repository, { ...files(page), ...HEALTH }),
  }
}

function ill(codes: readonly string[], files: (page: string) => Record<string, string>): Kind {
  return { codes, serves: false, entries: (repository, page) => entriesOf(repository, files(page)) }
}

function poisoned(entry: (repository: TestRepository) => BadEntry): Kind {
  const entries: Kind['entries'] = (repository, page) => {
    return [...entriesOf(repository, { ...webApp(page), ...HEALTH }), entry(repository)]
  }
  return { codes: ['REPO_INVALID'], serves: false, entries }
}

function deepFolder(repository: TestRepository): BadEntry {
  const name = MATCHERS.folder
  const id = blob(repository, 'text')
  let inner: BadEntry[] = Array.from({ length: MATCHERS.paths }, (_, index) => {
    return { mode: '100644', name: `a${index}`, id }
  })
  for (let depth = 1; depth < MATCHERS.folders; depth++) {
    inner = [{ mode: '40000', name, id: tree(repository, inner) }]
  }
  return { mode: '40000', name, id: tree(repository, inner) }
}
