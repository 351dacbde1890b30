import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createGitBinary } from '../src/engine/git/git-binary.js'
import type { Git } from '../src/engine/git/git.js'
import { GitServers, missingGitServers } from '../test/support/git-servers.js'
import { TestRepository } from '../test/support/repository.js'
import { TcpRelay } from '../test/support/tcp-relay.js'
import { atMost, median, ms, printTable, ratios, ratioText, rotated, rounds, say, spread } from './report.js'

const NEVER = new AbortController().signal
const MB = 1_000_000
const FILES = 40
const GOAL = 1.3

/** What each repository takes; `--large` adds the last one. */
const SIZES = { small: 20_000, '20 MB': 20 * MB, '300 MB': 300 * MB }
const CASES = ['first', 'unchanged', 'one changed line'] as const
type Case = (typeof CASES)[number]

/** Milliseconds and bytes of each round. */
interface Figures {
  readonly times: number[]
  readonly bytes: number[]
}

interface Contestant {
  readonly name: string
  readonly figures: Record<Case, Figures>
  /** Fetches: into an empty folder at first, then into what is there. */
  readonly fetch: (kind: Case) => Promise<void>
  readonly clear: () => void
}

/**
 * First and repeated fetches of a repository over HTTPS, against `git clone --depth 1` and `git fetch` of the same commits, in
 * turn, with the bytes that the server sent.
 */
export async function run(count: number): Promise<void> {
  const missing = missingGitServers()
  if (missing !== false) return say(`  skipped: ${missing}`)
  await using servers = await GitServers.start()
  await using relay = await TcpRelay.start(servers.ports.https)
  const undo = servers.asAccount()
  try {
    for (const [name, bytes] of Object.entries(SIZES)) {
      if (bytes > 100 * MB && !process.argv.includes('--large')) continue
      await measure({ servers, relay, name, bytes, count })
    }
  } finally {
    undo()
  }
}

interface Measurement {
  readonly servers: GitServers
  readonly relay: TcpRelay
  readonly name: string
  readonly bytes: number
  readonly count: number
}

async function measure({ servers, relay, name, bytes, count }: Measurement): Promise<void> {
  const path = name.replace(' ', '-')
  const repository = new TestRepository({ 'a.txt': 'one\n' }, join(servers.root, path))
  for (let file = 0; file < FILES; file++) {
    repository.commit({ [`folder/file-${file}`]: randomBytes(bytes / FILES).toString('latin1') })
  }
  const url = servers.httpsUrl(path, relay.port)
  const [ours, theirs] = [longshore(url, servers.folder), plainGit(url, servers.folder)]
  for (const round of rounds(count)) {
    for (const kind of CASES) {
      if (kind === 'one changed line') repository.commit({ 'a.txt': `${round}\n` })
      for (const { figures, fetch } of rotated([ours, theirs], round)) {
        const startedAt = performance.now()
        figures[kind].bytes.push(await relay.during(() => fetch(kind)))
        figures[kind].times.push(performance.now() - startedAt)
      }
    }
    for (const { clear } of [ours, theirs]) clear()
  }
  print(name, count, [ours, theirs])
}

function longshore(url: string, folder: string): Contestant {
  let dataDir = ''
  let git: Git
  let fetches = 0
  return {
    name: 'Longshore',
    figures: noFigures(),
    fetch: async (kind) => {
      if (kind === 'first') {
        dataDir = mkdtempSync(join(folder, 'longshore-'))
        git = createGitBinary({ dataDir, allowFileRepos: false, timeoutMs: 600_000, maxRepoBytes: 1000 * MB })
      }
      const onProgress = () => undefined
      const deploymentId = `deployment-${fetches++}`
      await git.fetch({ repoUrl: url, credential: null, ref: 'main', deploymentId, onProgress }, NEVER)
    },
    clear: () => rmSync(dataDir, { recursive: true, force: true }),
  }
}

function plainGit(url: string, folder: string): Contestant {
  let clone = ''
  return {
    name: 'git',
    figures: noFigures(),
    fetch: async (kind) => {
      if (kind === 'first') {
        clone = mkdtempSync(join(folder, 'git-'))
        await program('git', ['clone', '--quiet', '--depth', '1', url, clone])
      } else await program('git', ['-C', clone, 'fetch', '--quiet'])
    },
    clear: () => rmSync(clone, { recursive: true, force: true }),
  }
}

function noFigures(): Record<Case, Figures> {
  const none = (): Figures => ({ times: [], bytes: [] })
  return { first: none(), unchanged: none(), 'one changed line': none() }
}

async function program(file: string, args: readonly string[]): Promise<void> {
  const [code] = (await once(spawn(file, args, { stdio: 'ignore' }), 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${code}`)
}

function print(name: string, count: number, [ours, theirs]: readonly [Contestant, Contestant]): void {
  const bytes = ({ bytes }: Figures) => median(bytes).toLocaleString('en')
  const rows = CASES.map((kind) => {
    const [own, other] = [ours.figures[kind], theirs.figures[kind]]
    const ratio = ratios(own.times, other.times)
    const goal = kind === 'first' ? '' : atMost(GOAL, median(ratio))
    return [
      `${kind}, ${kind === 'first' ? 'git clone --depth 1' : 'git fetch'}`,
      ...[
        spread(other.times, ms),
        spread(own.times, ms),
        spread(ratio, ratioText),
        goal,
        bytes(other),
        bytes(own),
      ],
    ]
  })
  const header = ['', 'git, ms', 'Longshore, ms', 'ratio', 'goal', 'git, bytes', 'Longshore, bytes']
  printTable(`Fetch over HTTPS, ${name}, ${count} rounds: median (least–most)`, header, rows)
}
