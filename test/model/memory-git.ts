import { Readable } from 'node:stream'
import { DeployError } from '../../src/engine/errors.js'
import type { EntryKind, FetchRequest, Git, Source, TreeEntry } from '../../src/engine/git/git.js'
import { Gate } from '../support/fake-docker/faults.js'
import { writeTar } from '../support/fake-docker/tar.js'
import type { Activity } from '../support/wire.js'

const FROM = 'FROM longshore-test/busybox:local\nEXPOSE 8080\n'
const DOCKERFILES = {
  good: `${FROM}CMD ["/bin/busybox", "httpd", "-f", "-p", "8080"]\n`,
  'does not build': `${FROM}RUN ["/bin/busybox", "sh", "-c", "exit 3"]\nCMD ["/bin/busybox", "httpd"]\n`,
  'ends at once': `${FROM}CMD ["/bin/busybox", "sh", "-c", "exit 1"]\n`,
}

/** What a commit does when it is deployed. */
export type Commit = keyof typeof DOCKERFILES
export const COMMITS = Object.keys(DOCKERFILES) as Commit[]

/** Lets a process do something: later, while it is stalled; never again, when it is dead. */
export type Turn = () => Promise<void>

/** Remote repositories and mirrors in memory, shared by all processes. */
export class MemoryGit {
  /** Repository → deployment → commit: what keeps commits from being pruned. */
  readonly references = new Map<string, Map<string, string>>()
  readonly #heads = new Map<string, string>()
  #commits = 0
  #gate: Gate | null = null

  constructor(private readonly activity: Activity) {}

  commit(repoUrl: string, commit: Commit): void {
    const number = (++this.#commits).toString(16).padStart(39, '0')
    this.#heads.set(repoUrl, `${COMMITS.indexOf(commit)}${number}`)
  }

  /** Fetches wait until the gate is told to let them go on. */
  hold(): Gate {
    this.#gate ??= new Gate(/fetch/)
    return this.#gate
  }

  heal(): void {
    this.#gate?.release()
    this.#gate = null
  }

  clear(): void {
    this.references.clear()
    this.#heads.clear()
  }

  /** As one process sees it. */
  portFor(turn: Turn): Git {
    const act = async (work: () => void) => {
      await turn()
      this.activity.count++
      work()
    }
    return {
      fetch: (request, signal) => this.#fetch(request, signal, turn),
      fetchLfs: () => Promise.reject(new Error('no model has files of Git LFS')),
      listRefs: () => Promise.reject(new Error('no model asks for refs')),
      forget: async (repoUrl, readNamed) => {
        const named = await readNamed()
        if (!named.has(repoUrl)) await act(() => void this.references.delete(repoUrl))
      },
      prune: async (readNamed) => {
        const named = await readNamed()
        await act(() => {
          for (const repo of this.references.keys()) if (!named.has(repo)) this.references.delete(repo)
        })
      },
      shrink: () => Promise.resolve(),
      sweep: async (live) => {
        const listed = [...this.references].flatMap(([repo, ids]) =>
          [...ids.keys()].map((id) => [repo, id] as const),
        )
        const kept = await live()
        await act(() => {
          for (const [repo, id] of listed) if (!kept.has(id)) this.references.get(repo)?.delete(id)
        })
      },
    }
  }

  async #fetch(
    { repoUrl, ref, deploymentId }: FetchRequest,
    signal: AbortSignal,
    turn: Turn,
  ): Promise<Source> {
    await turn()
    this.activity.count++
    const outcome = await this.#gate?.wait(signal)
    await turn()
    this.activity.count++
    signal.throwIfAborted()
    if (outcome === 'fail') throw new DeployError('CLONE_FAILED', 'the test let the fetch fail')
    const commitSha = ref ?? this.#heads.get(repoUrl) ?? ''.padStart(40, '0')
    const references = this.references.get(repoUrl) ?? new Map<string, string>()
    this.references.set(repoUrl, references.set(deploymentId, commitSha))
    return sourceOf(commitSha)
  }
}

function sourceOf(commitSha: string): Source {
  const commit = COMMITS[Number(commitSha[0])] ?? 'good'
  const kinds = new Map<string, EntryKind>([
    ['.', 'folder'],
    ['Dockerfile', 'file'],
  ])
  return {
    commitSha,
    commitMessage: commit,
    committedAt: 0,
    message: () => Promise.resolve(commit),
    changedSince: () => Promise.resolve(null),
    kindsOf: () => Promise.resolve(kinds),
    list: () => Promise.resolve(kinds),
    entries: () => entriesOf(commit),
    contents: () => ({
      // Each blob's id is its commit's name.
      async *read() {
        yield await Promise.resolve(Buffer.from(DOCKERFILES[commit]))
      },
      [Symbol.dispose]: () => undefined,
    }),
    read: () => Promise.reject(new Error('there is no such file')),
    archive: () => Readable.from([writeTar({ Dockerfile: DOCKERFILES[commit] })]),
  }
}

async function* entriesOf(commit: Commit): AsyncGenerator<TreeEntry> {
  const size = Buffer.byteLength(DOCKERFILES[commit])
  yield await Promise.resolve({
    path: 'Dockerfile',
    rawPath: null,
    kind: 'file',
    isExecutable: false,
    size,
    id: commit,
  } as const)
}
