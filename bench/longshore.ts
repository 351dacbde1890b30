import pg from 'pg'
import { createApp, deploy, graphql, updateStage } from '../test/support/client.js'
import { Installation, type ServerProcess, until } from '../test/support/server.js'
import { containerExists } from './docker-api.js'
import { untilServes } from './baselines.js'

/** The parts of a deployment as its events tell them, in order. */
export const PHASES = ['queue', 'clone', 'build', 'start', 'route'] as const
export type Phases = Readonly<Record<(typeof PHASES)[number] | 'request' | 'answer', number>>

/** The events' `from`, in the order of {@link PHASES}. */
const STATUSES = ['PENDING', 'CLONING', 'BUILDING', 'STARTING', 'ROUTING', 'RUNNING']

/** An installation to be measured, with a connection to its database. */
export class Longshore implements AsyncDisposable {
  readonly #apps = new Map<string, string>()

  private constructor(
    readonly installation: Installation,
    readonly database: pg.Client,
  ) {}

  static async create(): Promise<Longshore> {
    const installation = await Installation.create()
    const database = new pg.Client({ connectionString: installation.database.url })
    database.on('error', () => undefined) // dropped with its database
    await database.connect()
    return new Longshore(installation, database)
  }

  get port(): number {
    return this.installation.port
  }

  start(env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    return this.installation.start(env)
  }

  /** createApp until its host serves `page`. */
  async first(name: string, repoUrl: string, page: string): Promise<Phases> {
    const startedAt = now()
    const { appId, deploymentId } = await createApp(this.port, { name, repoUrl })
    this.#apps.set(name, appId)
    await this.#untilServes(name, page)
    const endedAt = now()
    // The next ones are measured without the wait for a version to prove itself stable.
    await updateStage(this.port, appId, { healthCheck: { stableSeconds: 0 } })
    return this.#phases(deploymentId, startedAt, endedAt)
  }

  /** deploy until the app's host serves `page`; then waits, unmeasured, until the old container is gone. */
  async again(name: string, page: string): Promise<Phases> {
    const [old] = await this.rows<{ container: string }>(
      `SELECT d.container FROM deployment d JOIN app a ON a.id = d.app_id WHERE a.name = $1 AND d.status = 'RUNNING'`,
      [name],
    )
    const startedAt = now()
    const deploymentId = await deploy(this.port, this.#apps.get(name) ?? '')
    await this.#untilServes(name, page)
    const endedAt = now()
    await until(async () => !(await containerExists(old?.container ?? '')))
    return this.#phases(deploymentId, startedAt, endedAt)
  }

  async rows<T>(sql: string, values: unknown[] = []): Promise<T[]> {
    return (await this.database.query(sql, values)).rows as T[]
  }

  /** Deletes apps with all that runs for them. */
  async deleteApps(ids: Iterable<string> = this.#apps.values()): Promise<void> {
    const deleteApp = 'mutation ($id: ID!) { deleteApp(id: $id) }'
    for (const id of ids) await graphql(this.port, deleteApp, { id })
    this.#apps.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database.end()
    await this.installation[Symbol.asyncDispose]()
  }

  #untilServes(name: string, page: string): Promise<void> {
    const place = { host: '127.0.0.1', port: this.installation.routerPort, name: `${name}.localhost` }
    return untilServes(place, page)
  }

  async #phases(deploymentId: string, startedAt: number, endedAt: number): Promise<Phases> {
    const events = await this.rows<{ to_status: string; at: number }>(
      `SELECT to_status, (extract(epoch FROM at) * 1000)::float8 AS at FROM deployment_event
        WHERE deployment_id = $1 ORDER BY id`,
      [deploymentId],
    )
    const at = (status: string | undefined) =>
      events.find((event) => event.to_status === status)?.at ?? Number.NaN
    const between = PHASES.map(
      (phase, index) => [phase, at(STATUSES[index + 1]) - at(STATUSES[index])] as const,
    )
    const ends = [
      ['request', at('PENDING') - startedAt],
      ['answer', endedAt - at('RUNNING')],
    ] as const
    return Object.fromEntries([...between, ...ends]) as Phases
  }
}

/** Wall clock with fractions of a millisecond, as the database on the same machine has it. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}
