import type { DataSource } from 'typeorm'
import type { Logger } from '../../logger.js'
import type { Docker } from '../docker/docker.js'

const EVERY_MS = 5_000
/** Rows of workers that ended without a word are removed after this many seconds. */
const FORGET_SECONDS = 3_600

export interface WorkerHeartbeatDependencies {
  readonly database: DataSource
  readonly docker: Docker
  readonly logger: Logger
}

/** Writes to the database that this worker lives and whether its Docker engine answers, for `/health`. Logs what changes. */
export class WorkerHeartbeat implements AsyncDisposable {
  #timer: NodeJS.Timeout | undefined
  /** What was said last; null: that the engine answers. */
  #lastError: string | null | undefined

  constructor(
    private readonly dependencies: WorkerHeartbeatDependencies,
    private readonly workerId: string,
    /** Of its router: whether a switch may be announced without its word. */
    private readonly router: string | null,
  ) {}

  async start(): Promise<void> {
    await this.#beat()
    this.#timer = setInterval(() => void this.#beat().catch(() => undefined), EVERY_MS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    const { database } = this.dependencies
    await database.query('DELETE FROM worker WHERE id = $1', [this.workerId]).catch(() => undefined)
  }

  async #beat(): Promise<void> {
    const { database, docker } = this.dependencies
    const [version, error] = await docker.ping().then(
      (answer) => [answer, null] as const,
      (cause: unknown) => [null, (cause as Error).message] as const,
    )
    this.#logChange(version, error)
    await database.query(
      `INSERT INTO worker (id, docker_version, docker_error, router) VALUES ($1, $2, $3, $4)
       ON CONFLICT (id) DO UPDATE SET seen_at = now(), docker_version = $2, docker_error = $3, router = $4`,
      [this.workerId, version, error, this.router],
    )
    await database.query('DELETE FROM worker WHERE seen_at < now() - make_interval(secs => $1)', [
      FORGET_SECONDS,
    ])
  }

  /** Only what is new. */
  #logChange(version: string | null, error: string | null): void {
    if (error === this.#lastError) return
    this.#lastError = error
    const { logger } = this.dependencies
    if (error === null) logger.info('the Docker engine answers', { version })
    else logger.warn(`${error}. Deployments wait until it can be used`)
  }
}
