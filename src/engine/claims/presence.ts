import type { DataSource } from 'typeorm'
import type { Docker } from '../docker/docker.js'

const EVERY_MS = 5_000
/** Rows of workers that ended without a word are removed after this many seconds. */
const FORGET_SECONDS = 3_600

/** Says in the database that this worker lives and whether its Docker engine answers: `/health` reads it. */
export class Presence implements AsyncDisposable {
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly database: DataSource,
    private readonly docker: Docker,
    private readonly workerId: string,
    /** Of its router: whether a switch may be announced without its word. */
    private readonly router: string | null,
  ) {}

  async start(): Promise<void> {
    await this.#say()
    this.#timer = setInterval(() => void this.#say().catch(() => undefined), EVERY_MS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.database.query('DELETE FROM worker WHERE id = $1', [this.workerId]).catch(() => undefined)
  }

  async #say(): Promise<void> {
    const [version, error] = await this.docker.ping().then(
      (answer) => [answer, null] as const,
      (cause: unknown) => [null, (cause as Error).message] as const,
    )
    await this.database.query(
      `INSERT INTO worker (id, docker_version, docker_error, router) VALUES ($1, $2, $3, $4)
       ON CONFLICT (id) DO UPDATE SET seen_at = now(), docker_version = $2, docker_error = $3, router = $4`,
      [this.workerId, version, error, this.router],
    )
    await this.database.query('DELETE FROM worker WHERE seen_at < now() - make_interval(secs => $1)', [
      FORGET_SECONDS,
    ])
  }
}
