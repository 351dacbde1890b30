import { setTimeout as sleep } from 'node:timers/promises'
import { createApp, updateStage } from '../support/client.js'
import { TestRepository, webApp } from '../support/repository.js'
import { onDatabase } from '../support/tables.js'
import { now, type Processes } from './processes.js'
import { commitVersion, type KindName, type Version } from './versions.js'

const HEALTH = { path: '/health', stableSeconds: 1, deadlineSeconds: 15 }
const PAUSE_MS = 500
/** Longer than both processes are ever away. */
const PATIENCE_MS = 120_000

export interface ChaosApp {
  readonly id: string
  readonly stageId: string
  readonly name: string
  readonly host: string
  readonly repository: TestRepository
  /** It serves all the while, and has to answer all the while. */
  readonly isSteady: boolean
  /** When somebody has asked for it. */
  deletedAt: number | null
}

/** The apps of a run, and what was committed for them. */
export class Apps implements Disposable {
  readonly all: ChaosApp[] = []
  /** By its commit. */
  readonly versions = new Map<string, Version>()
  readonly #repositories: TestRepository[] = []

  constructor(
    private readonly url: string,
    private readonly processes: Processes,
  ) {}

  get living(): ChaosApp[] {
    return this.all.filter(({ deletedAt }) => deletedAt === null)
  }

  /** Makes an app with its health check, and no deployment, however often that takes. */
  async create(name: string, isSteady: boolean): Promise<ChaosApp> {
    const repository = new TestRepository(webApp('nothing yet'))
    this.#repositories.push(repository)
    for (const until = now() + PATIENCE_MS; ;) {
      try {
        const [slot] = this.processes.up
        if (!slot) throw new Error('nobody is there')
        const known = await onDatabase(this.url, 'SELECT id FROM app WHERE name = $1', [name])
        const input = { name, repoUrl: repository.url, deploy: false }
        const id = (known[0]?.id as string) ?? (await createApp(slot.port, input)).appId
        const stageId = await updateStage(slot.port, id, { healthCheck: HEALTH })
        const host = `${name}.localhost`
        const app = { id, stageId, name, host, repository, isSteady, deletedAt: null }
        this.all.push(app)
        return app
      } catch (error) {
        if (now() > until) throw error
        await sleep(PAUSE_MS)
      }
    }
  }

  /** Each version has a branch and a page of its own. */
  commit({ name, repository }: ChaosApp, kind: KindName): Version {
    const ref = `v${this.versions.size + 1}`
    const version = commitVersion(repository, kind, ref, `${name} ${ref}: ${kind}`)
    this.versions.set(version.commitSha, version)
    return version
  }

  [Symbol.dispose](): void {
    for (const repository of this.#repositories) repository[Symbol.dispose]()
  }
}
