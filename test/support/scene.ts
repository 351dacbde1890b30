import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { TestProcess } from './engine.js'
import { FakeDocker } from './fake-docker/fake-docker.js'
import { PostgresProxy } from './postgres-proxy.js'
import { fetchHost, Installation, type ServerProcess, until } from './server.js'
import { TestRepository, webApp } from './repository.js'

/** Everything that takes its time takes little. */
const QUICK = {
  ROLES: 'worker',
  // Shorter, and a busy machine loses a lease that nobody meant to be lost.
  LEASE_SECONDS: '2',
  POLL_SECONDS: '1',
  DRAIN_SECONDS: '1',
  DOCKER_TIMEOUT: '1',
  STOP_GRACE_SECONDS: '1',
  MIN_FREE_DISK_MIB: '0',
}

export interface AppUnderTest {
  readonly id: string
  readonly name: string
  readonly stageId: string
}

/** Worker processes on a fake Docker engine and a database of their own; the test gives the commands. */
export class Scene implements AsyncDisposable {
  readonly repository = new TestRepository(webApp('first'))
  /** The worker that is up, as far as is known. */
  up: ServerProcess | null = null

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
    const { installation, docker, proxy } = this
    const server = await installation.start({
      ...QUICK,
      DATABASE_URL: proxy.url,
      DOCKER_HOST: docker.host,
      ...env,
    })
    this.up = server
    server.child.once('exit', () => {
      if (this.up === server) this.up = null
    })
    return server
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

  /** Waits for a status; gives the milliseconds it took. */
  async reaches(id: string, status: string, ms = 10_000): Promise<number> {
    const startedAt = performance.now()
    let last = ''
    await until(ms, async () => (last = (await this.deployment(id)).status) === status, 10).catch(() => {
      throw new Error(`${id} is ${last} and not ${status} after ${ms} ms: ${this.output()}`)
    })
    return performance.now() - startedAt
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
  readonly attempt: number
  readonly epoch: number
  readonly error_code: string | null
  readonly error_message: string | null
  readonly addresses: string[] | null
  readonly image_id: string | null
  readonly commit_sha: string | null
}

/** Asks an app all the time: through the router while a process is up, else its container. */
export class Visitor implements AsyncDisposable {
  /** Answers that a visitor of the app should not have got. */
  readonly failures: string[] = []
  answers = 0
  #left = false
  readonly #visiting: Promise<void>

  constructor(
    private readonly scene: Scene,
    private readonly app: AppUnderTest,
  ) {
    this.#visiting = this.#visit()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#left = true
    await this.#visiting
  }

  async #visit(): Promise<void> {
    while (!this.#left) {
      const { up } = this.scene
      const problem = up ? await this.#ask(up) : await this.#askContainer()
      if (problem === null) this.answers++
      else if (problem !== '') this.failures.push(problem)
      await sleep(50)
    }
  }

  /** An empty text: the process died over it. */
  async #ask(up: ServerProcess): Promise<string | null> {
    const answer = await this.scene.ask(this.app).catch((error: unknown) => error as Error)
    if (!(answer instanceof Error) && answer.status === 200) return null
    await sleep(50)
    if (this.scene.up !== up) return ''
    return answer instanceof Error ? answer.message : `${answer.status} ${answer.body.slice(0, 200)}`
  }

  /** Twice, since traffic may move between the look and the question. */
  async #askContainer(): Promise<string | null> {
    for (let tries = 1; ; tries++) {
      try {
        await this.scene.askContainer(this.app)
        return null
      } catch (error) {
        if (tries === 2) return (error as Error).message
      }
    }
  }
}
