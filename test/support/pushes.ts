import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { PushComparer, type PushServices } from '../../src/engine/pushes/push-comparer.js'
import { RepositoryPoller } from '../../src/engine/pushes/repository-poller.js'
import type { Logger } from '../../src/logger.js'
import { openProcesses, type TestProcess } from './engine.js'
import { type Delivery, github, githubBody, type PushFacts } from './forges.js'
import type { LogEntry } from './webhooks.js'

/** Far from now: what is done before is asked for by the test. */
const NEVER_MS = 2 ** 30

/** Commands on a database, and what a worker does of pushes, over real Git repositories; nothing is ever built. */
export class PushScene implements AsyncDisposable {
  /** What the workers' log was told, as `level message app`. */
  readonly logged: string[] = []
  readonly services: PushServices
  readonly comparer: PushComparer
  readonly #dataDir = mkdtempSync(join(tmpdir(), 'longshore-pushes-'))
  #apps = 0

  private constructor(
    private readonly opened: Awaited<ReturnType<typeof openProcesses>>,
    readonly own: TestProcess,
  ) {
    const note = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) =>
      void this.logged.push(`${level} ${message} ${String(fields?.app)}`)
    const logger: Logger = {
      debug: note('debug'),
      info: note('info'),
      warn: note('warn'),
      error: note('error'),
    }
    const bounds = { allowFileRepos: true, timeoutMs: 300_000, maxRepoBytes: 64 * 1024 ** 2 }
    const git = createGitBinary({ dataDir: this.#dataDir, ...bounds })
    const settings = { allowFileRepos: true, drainMs: 0 }
    this.services = { ...own, git, logger, settings }
    this.comparer = new PushComparer(this.services, NEVER_MS)
  }

  static async open(): Promise<PushScene> {
    const opened = await openProcesses(1)
    return new PushScene(opened, opened.processes[0] as TestProcess)
  }

  /** A worker that has just started: all that was looked up before is due. */
  poller(reconcileMs = 3_600_000, services: Partial<PushServices> = {}): RepositoryPoller {
    return new RepositoryPoller({ ...this.services, ...services }, reconcileMs, NEVER_MS)
  }

  /** As if a worker started now: looks all repositories up, and compares what it finds. */
  async start(): Promise<void> {
    await this.poller().pollDue()
    await this.comparer.compareDue()
  }

  async app(repoUrl: string, input: Readonly<Record<string, unknown>> = {}): Promise<PushApp> {
    const { apps, webhooks } = this.own.commands
    const name = `pushed-${this.#apps++}`
    const { id } = await apps.create({ name, repoUrl, branch: 'main', deploy: false, ...input })
    return new PushApp(this, id, name, await webhooks.rotate(id))
  }

  /** Nothing more is done for the apps of a test that has ended. */
  async forget(): Promise<void> {
    await this.rows('UPDATE app SET deleted_at = now() WHERE deleted_at IS NULL')
    await this.rows('DELETE FROM push_comparison')
  }

  rows<T>(sql: string, ...values: unknown[]): Promise<T[]> {
    return this.own.database.query<T[]>(sql, values)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.comparer[Symbol.asyncDispose]()
    await this.opened[Symbol.asyncDispose]()
    rmSync(this.#dataDir, { recursive: true, force: true })
  }
}

/** An app with a webhook. */
export class PushApp {
  constructor(
    private readonly scene: PushScene,
    readonly id: string,
    readonly name: string,
    readonly secret: string,
  ) {}

  async send({ headers, body }: Delivery): Promise<string> {
    const { webhooks } = this.scene.own.commands
    const receipt = await webhooks.receive(this.id, headers, Buffer.from(body))
    return receipt.kind === 'received' ? receipt.delivery.verdict : receipt.kind
  }

  push(facts: Partial<PushFacts> & Pick<PushFacts, 'after'>): Promise<string> {
    return this.send(github(this.secret, githubBody({ ref: 'refs/heads/main', ...facts })))
  }

  /** The newest deployment, or the one of a commit, serves from now on, as if a worker had done all of it. */
  async serves(commit?: string): Promise<void> {
    const [{ id = '' } = {}] = await this.scene.rows<{ id: string }>(
      `SELECT id FROM deployment WHERE app_id = $1 AND ($2::text IS NULL OR commit_sha = $2) ORDER BY generation DESC LIMIT 1`,
      this.id,
      commit ?? null,
    )
    await this.scene.rows(
      `UPDATE deployment SET status = 'RETIRED' WHERE app_id = $1 AND status = 'RUNNING'`,
      this.id,
    )
    await this.#becomes(id, 'RUNNING')
    await this.scene.rows('UPDATE stage SET current_deployment_id = $1 WHERE app_id = $2', id, this.id)
  }

  /** What waits fails. */
  async fails(): Promise<void> {
    for (const { id } of await this.scene.rows<{ id: string }>(
      `SELECT id FROM deployment WHERE app_id = $1 AND status = 'PENDING'`,
      this.id,
    )) {
      await this.#becomes(id, 'FAILED')
    }
  }

  #becomes(id: string, status: string): Promise<unknown> {
    const configuration = { source: { repoUrl: '', branch: 'main' } }
    const sql =
      'UPDATE deployment SET status = $2, configuration = $3, image_id = id, live_at = clock_timestamp() WHERE id = $1'
    return this.scene.rows(sql, id, status, JSON.stringify(configuration))
  }

  /** Oldest first, as `trigger commit`. */
  async deployments(): Promise<string[]> {
    const sql = 'SELECT trigger, commit_sha AS sha FROM deployment WHERE app_id = $1 ORDER BY generation'
    const found = await this.scene.rows<{ trigger: string; sha: string }>(sql, this.id)
    return found.map(({ trigger, sha }) => `${trigger} ${sha}`)
  }

  /** Newest first. */
  log(): Promise<LogEntry[]> {
    const sql = `SELECT verdict, reason, ref, decisions FROM webhook_delivery WHERE app_id = $1 ORDER BY number DESC`
    return this.scene.rows<LogEntry>(sql, this.id)
  }
}
