import pg from 'pg'
import { readConfig } from '../../src/config.js'
import { openCore } from '../../src/core.js'
import { createLogger } from '../../src/logger.js'
import { startWorker } from '../../src/worker.js'
import { TestProcess } from './engine.js'
import { FakeDocker } from './fake-docker/fake-docker.js'
import { PostgresProxy } from './postgres-proxy.js'
import { fetchHost, Installation, type ServerProcess, until } from './server.js'
import { SimulatedWorker } from './simulated-worker.js'
import { TestRepository, webApp } from './repository.js'

/** What takes its time takes little, but not so little that a loaded machine is a fault. */
const QUICK = {
  ROLES: 'worker',
  LEASE_SECONDS: '10',
  POLL_SECONDS: '1',
  DRAIN_SECONDS: '1',
  DOCKER_TIMEOUT: '5',
  STOP_GRACE_SECONDS: '1',
  MIN_FREE_DISK_MIB: '0',
  // The fake engine's builds are nobody's; the real one's are not to be limited for them.
  BUILD_CGROUP: 'longshore-test/none',
  // What is watched is inspected all the time, and what was before it is kept.
  WATCH_SECONDS: '0',
}

export interface AppUnderTest {
  readonly id: string
  readonly name: string
  readonly stageId: string
}

/** Worker processes on a fake Docker engine and a database of their own; the test gives the commands. */
export class Scene implements AsyncDisposable {
  readonly repository = new TestRepository(webApp('first'))
  /** The worker that is up and routes, as far as is known. */
  up: object | null = null

  private constructor(
    readonly installation: Installation,
    readonly docker: FakeDocker,
    readonly own: TestProcess,
    readonly sql: pg.Client,
    /** Between the workers and the database. */
    readonly proxy: PostgresProxy,
  ) {}

  static async open(): Promise<Scene> {
    const installation = await Installation.create()
    const docker = await FakeDocker.start()
    const own = await TestProcess.open(installation.database)
    const sql = new pg.Client({ connectionString: installation.database.url })
    sql.on('error', () => undefined)
    await sql.connect()
    return new Scene(installation, docker, own, sql, await PostgresProxy.start(installation.database.url))
  }

  /** Starts a worker and waits until it runs. */
  async worker(env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    const server = await this.installation.start({ ...this.#settings(), ...env })
    this.up = server
    server.child.once('exit', () => {
      if (this.up === server) this.up = null
    })
    return server
  }

  /** A worker in the test's own process, for where only another one has to be killed: it is up at once. */
  async workerHere(more: Readonly<Record<string, string>> = {}): Promise<AsyncDisposable> {
    const core = await openCore(readConfig(this.settingsHere(more)), createLogger('error'))
    const worker = await startWorker(core)
    this.up = worker
    return {
      [Symbol.asyncDispose]: async () => {
        this.up = null
        await worker[Symbol.asyncDispose]()
        await core[Symbol.asyncDispose]()
      },
    }
  }

  /** A worker in the test's own process that dies as from SIGKILL when it is told to. */
  async mortalWorker(more: Readonly<Record<string, string>> = {}): Promise<SimulatedWorker> {
    const env = { ...this.settingsHere(more), DATABASE_URL: this.installation.database.url }
    const worker = await SimulatedWorker.start(env, this.docker.socketPath)
    this.up = worker
    void worker.died.then(() => {
      if (this.up === worker) this.up = null
    })
    return worker
  }

  /** The environment of a worker in the test's own process. */
  settingsHere(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    const { dataDir, routerPort } = this.installation
    const env = { ...this.#settings(), ...more, DATA_DIR: dataDir, ROUTER_PORT: String(routerPort) }
    return { ...env, ALLOW_FILE_REPOS: 'true' }
  }

  #settings(): Record<string, string> {
    return { ...QUICK, DATABASE_URL: this.proxy.url, DOCKER_HOST: this.docker.host }
  }

  /** An app with a stage and nothing else. */
  async app(name: string): Promise<AppUnderTest> {
    const { id } = await this.own.commands.apps.create({ name, repoUrl: this.repository.url, deploy: false })
    // No wait for a version to prove itself stable.
    const stable = 'UPDATE stage SET health_stable_seconds = 0 WHERE app_id = $1 RETURNING id'
    const [stage] = await this.rows<{ id: string }>(stable, [id])
    return { id, name, stageId: stage?.id ?? '' }
  }

  async deploy(app: AppUnderTest): Promise<string> {
    return (await this.own.commands.deployments.deploy(app.id, {})).id
  }

  /** An app that serves `text`. */
  async serving(name: string, text = 'first'): Promise<{ app: AppUnderTest; deploymentId: string }> {
    const app = await this.app(name)
    this.repository.commit(webApp(text))
    const deploymentId = await this.deploy(app)
    await this.reaches(deploymentId, 'RUNNING')
    return { app, deploymentId }
  }

  async rows<T extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<T[]> {
    return (await this.sql.query<T>(sql, values)).rows
  }

  async deployment(id: string): Promise<DeploymentRow> {
    const [row] = await this.rows<DeploymentRow>('SELECT * FROM deployment WHERE id = $1', [id])
    if (!row) throw new Error(`no deployment ${id}`)
    return row
  }

  /** Waits until it is shown in a status. */
  async reaches(id: string, status: string): Promise<void> {
    let last = ''
    const look = async () => {
      const { shown_as: shown, status: now } = await this.deployment(id)
      return (last = shown ?? now) === status
    }
    await until(look, 25).catch(() => {
      throw new Error(`${id} is ${last} and not ${status}: ${this.output()}`)
    })
  }

  /** Lets the time pass for which a dead process still has a right to what it did. */
  async passTime(): Promise<void> {
    await this.sql.query('UPDATE deployment SET lease_until = now() WHERE lease_until > now()')
    await this.sql.query('UPDATE deployment SET drain_until = now() WHERE drain_until > now()')
  }

  /** The end of what the newest process said. */
  output(): string {
    return this.installation.processes.at(-1)?.output.slice(-3_000) ?? ''
  }

  async log(id: string): Promise<string> {
    const sql = `SELECT string_agg(text, '' ORDER BY seq) AS text FROM log_chunk WHERE deployment_id = $1`
    return (await this.rows<{ text: string | null }>(sql, [id]))[0]?.text ?? ''
  }

  async events(id: string): Promise<string[]> {
    const sql = 'SELECT to_status FROM deployment_event WHERE deployment_id = $1 ORDER BY id'
    return (await this.rows<{ to_status: string }>(sql, [id])).map((row) => row.to_status)
  }

  /** What the app's own address answers, past the router. */
  async askContainer(app: AppUnderTest): Promise<string> {
    const sql = `SELECT addresses[1] AS host, port FROM deployment WHERE stage_id = $1 AND status = 'RUNNING'`
    const [row] = await this.rows<{ host: string; port: number }>(sql, [app.stageId])
    if (!row) throw new Error(`${app.name} serves nothing`)
    return (await fetch(`http://${row.host}:${row.port}/`, { headers: { connection: 'close' } })).text()
  }

  ask(app: AppUnderTest): Promise<{ status: number; body: string }> {
    return fetchHost(this.installation.routerPort, `${app.name}.localhost`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.installation.processes) {
      server.child.kill('SIGCONT')
      await server.kill()
    }
    await this.sql.end().catch(() => undefined)
    await this.own[Symbol.asyncDispose]()
    await this.proxy[Symbol.asyncDispose]()
    await this.installation[Symbol.asyncDispose]()
    await this.docker[Symbol.asyncDispose]()
    this.repository[Symbol.dispose]()
  }
}

export interface DeploymentRow extends pg.QueryResultRow {
  readonly id: string
  readonly status: string
  readonly shown_as: string | null
  readonly attempt: number
  readonly epoch: number
  readonly error_code: string | null
  readonly error_message: string | null
  readonly error_exit_code: number | null
  readonly error_last_lines: string[] | null
  readonly addresses: string[] | null
  readonly image_id: string | null
  readonly commit_sha: string | null
}
